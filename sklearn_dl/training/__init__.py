"""What a `Solver` is made of: the state that training changes, the samples, evaluation and watchers."""
