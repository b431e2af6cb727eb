"""One task, from submission to result, as its coordinator sees it; `machine.step` is the door.

::

    Shadow --Holds--> Live(finding) --> Live(planning) --> Live(running) --> Ended
      ^                 |  one agent covers it: straight to running   |
      '-----Lost--------+---------------------------------------------'
"""
