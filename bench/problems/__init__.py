"""Functions as the nopython rows and the references need them: Numba functions, and their gradients derived by hand."""
