"""Is the broker what a federation needs, who is there, and what may this account do: the checks of ``foa doctor``."""
