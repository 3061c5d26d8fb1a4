"""Ground floor: errors, plug-ins, configs and plain values. Standard library and pydantic only."""
