"""How fast Tallymark is, as ratios: `make bench`. See README.md beside this file."""
