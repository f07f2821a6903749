"""Pieces that several rooms use: parameters, suggestions, what private names of others are used."""
