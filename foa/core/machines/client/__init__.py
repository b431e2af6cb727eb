"""The submitter's side: `task_step` keeps one submission until its result, `desk_step` reads what is retained.

Under ``Key("client", task)`` and ``Key("desk")`` of every client (command line, library, gateway). Both speak
to the program that runs them through the service ``report``, whose argument is a `Report`. What a person says to a
task goes through the desk, since anybody may say it, not the submitter alone.
"""

from foa.core.machines.client.desk import Desk as Desk
from foa.core.machines.client.desk import desk_step as desk_step
from foa.core.machines.client.records import DESK as DESK
from foa.core.machines.client.records import Abandon as Abandon
from foa.core.machines.client.records import Clear as Clear
from foa.core.machines.client.records import Collect as Collect
from foa.core.machines.client.records import Context as Context
from foa.core.machines.client.records import Enough as Enough
from foa.core.machines.client.records import Follow as Follow
from foa.core.machines.client.records import Idle as Idle
from foa.core.machines.client.records import Order as Order
from foa.core.machines.client.records import Question as Question
from foa.core.machines.client.records import Rate as Rate
from foa.core.machines.client.records import Report as Report
from foa.core.machines.client.records import Say as Say
from foa.core.machines.client.records import Submission as Submission
from foa.core.machines.client.submission import LOOK_S as LOOK_S
from foa.core.machines.client.submission import RETRY_S as RETRY_S
from foa.core.machines.client.submission import task_step as task_step
