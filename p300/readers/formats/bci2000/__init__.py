"""BCI2000 files (``.dat``): header, screen and text of the P3Speller, samples and states."""
