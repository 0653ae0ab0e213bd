"""What the commands draw: every module makes lines of `rich.text.Text`, and asks neither database nor terminal.

A line is one row of the screen. It is cut to the room that there is, or left whole where `room` is None: when standard
output is no terminal, whoever reads it wants all of it.
"""
