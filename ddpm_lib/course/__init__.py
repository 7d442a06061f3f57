"""What only the notebooks of the course need: checks of the exercises, figures, guesses, tables."""
