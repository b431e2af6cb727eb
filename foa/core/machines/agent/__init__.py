"""An agent on the bus: `announce` shows it and shares out its slots, `award` does one piece of work.

::

    award:  Waiting --Start--> Running --outputs--> Refining --agreed--> Answered --Settled--> (gone)
               |                  |                                        ^
               '---- Withdrawn ---'---- failure, decline, deadline --------'
"""
