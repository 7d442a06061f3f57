"""What people type for w, in both labs: (text, w), or None where the text is no number and w stays as it is."""

W_TYPED = [
    ("−0.5", -0.5), ("-0.5", -0.5), ("﹣0.5", -0.5), ("－0.5", -0.5), ("– 0,5", -0.5), ("‐.5", -0.5),
    ("2,5", 2.5), ("2·5", 2.5), (" 3. ", 3), ("+1.25", 1.25), ("+ 1.25", 1.25), (",5", 0.5), ("5e-1", 0.5),
    ("２．５", 2.5),
    ("w = 2", 2), ("W=3", 3), ("𝑤: 4", 4), ("w := −1", -1), ("guidance weight 2", 2),
    ("s = 3", 2), ("S=1", 0), ("1 + w = 3", 2), ("scale 7.5", 6.5), ("guidance_scale=1", 0),
    ("9", 8), ("-1.05", -1), ("s = 10", 8), ("1e3", 8),
    ("abc", None), ("", None), ("2,5,1", None), ("1.2.3", None), ("NaN", None), ("--1", None), ("–", None), ("½", None),
    ("2½", None), ("1/2", None), ("2 3", None), ("50 %", None), ("steps = 3", None), ("0x2", None), ("Infinity", None),
]  # fmt: skip
BEYOND = {"9", "-1.05", "s = 10", "1e3"}  # these go to the nearer end


def said_of(text, now):
    """The sentence that both labs say to a text, "" if none, where w was now."""
    if text in BEYOND:
        return "w goes from −1 to 8."
    return "" if dict(W_TYPED)[text] is not None else f"“{text.strip()}” is not a number, so w stays {now}."
