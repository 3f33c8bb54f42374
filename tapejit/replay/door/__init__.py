"""The door: how a call of a replayed function is admitted, run and answered without Python code in between."""
