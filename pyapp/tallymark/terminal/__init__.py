"""What the commands draw. Most functions return rows of the screen, as `rich.text.Text`; only `screen` writes.

What it writes is harmless: see `tallymark.plain`.

`room` is the width of the terminal in columns. It is None where standard output is no terminal: then nothing is cut.
"""
