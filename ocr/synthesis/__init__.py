"""Lines that are made: drawn strokes, fonts and captchas; real ink recombined."""
