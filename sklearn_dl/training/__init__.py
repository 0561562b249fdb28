"""What a `sklearn_dl.solver.Solver` is made of."""
