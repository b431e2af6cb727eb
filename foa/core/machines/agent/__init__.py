"""An agent on the bus: `announce` shows it and shares out its slots, `award` does one piece of work.

In a cluster `member` says, hears and revises drafts, by what `regard` holds of them; `reply` is what an award says to
its owner.

::

    award:  Waiting --Start--> Running --outputs--> Joined --agreed, or no more rounds--> Answered --Settled--> (gone)
               |                  |                    |                                   ^
               '---- Withdrawn ---'---- failure, decline, question, deadline --------------'
"""
