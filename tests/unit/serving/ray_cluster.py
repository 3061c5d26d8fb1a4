"""Two Ray nodes on this machine, in a process of their own: `python -m …ray_cluster`.

Says the address, then does what it is told, a word a line: "kill" ends the second node as a power
cut would, "add" brings another. Ends at the end of its input.
"""

import json
import sys

from ray.cluster_utils import Cluster

NODE = {"num_cpus": 2, "object_store_memory": 80_000_000, "include_log_monitor": False}


TRIES = 4


def added(cluster, **options):
    """Returns a further node; Ray gives one half a minute, too little where others work too."""
    for left in reversed(range(TRIES)):
        try:
            return cluster.add_node(**NODE, **options)
        except Exception as error:
            if not left:
                raise
            sys.stderr.write(f"once more: {error}\n")
    return None


def main():
    cluster = Cluster()
    added(cluster, include_dashboard=False, no_monitor=True)
    nodes = [added(cluster)]
    sys.stdout.write(json.dumps({"address": cluster.address}) + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        if line.strip() == "kill":
            cluster.remove_node(nodes.pop(), allow_graceful=False)
        else:
            nodes.append(added(cluster))
        sys.stdout.write("{}\n")
        sys.stdout.flush()
    cluster.shutdown()


if __name__ == "__main__":
    main()
