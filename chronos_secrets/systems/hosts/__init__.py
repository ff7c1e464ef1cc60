"""Where programs run and files are placed: this machine, a host over ssh, a container, a container over ssh.

The one door for all of them. Callers build a host from the inventory's row and know nothing else about it.
"""

from chronos_secrets.systems.hosts.container import Container, Mount
from chronos_secrets.systems.hosts.host import Host, Local
from chronos_secrets.systems.hosts.placing import Placed, Seen
from chronos_secrets.systems.hosts.ssh import Ssh
from chronos_secrets.systems.hosts.words import CutOff
from chronos_secrets.systems.process import Hear, Ran

__all__ = ["Container", "CutOff", "Hear", "Host", "Local", "Mount", "Placed", "Ran", "Seen", "Ssh"]
