"""The Lambda doors: decode, call one flow function, encode."""
