"""Who is believed: what a seal covers, what a trust file says, and the guard that applies both. Pure: keys come in."""
