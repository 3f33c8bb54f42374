"""Complex tensors: pairs of real ones, written in public real operations, which bring derivatives, replay and batches along."""
