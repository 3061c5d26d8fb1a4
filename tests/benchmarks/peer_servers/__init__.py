"""Other servers around the same ONNX file, one script each: `python run_NAME.py MODEL PORT`.

Each is written as its server's own first example is: one worker, one thread in ONNX Runtime,
no log; `inputs` is a list of rows. They check no token, keep no log and count nothing.
"""
