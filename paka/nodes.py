"""A run on several hosts: which of them is this one, where they meet, and by which interface."""

import os
import socket
from typing import NamedTuple, Self

import psutil

from paka.errors import ConfigError

_ENVIRONMENT = ("PAKA_NODE_RANK", "PAKA_NODES", "PAKA_RENDEZVOUS", "PAKA_RENDEZVOUS_ID")
_INTERFACES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")


class Node(NamedTuple):
    """One host of a run on several `nodes`.

    `rank` counts from 0, whose host all others reach at `rendezvous`, `host:port`. Only those meet
    that give the same `run_id`.
    """

    rank: int
    nodes: int
    rendezvous: str
    run_id: str = "paka"

    def to_environment(self) -> dict[str, str]:
        """What `from_environment` reads in another process."""
        return dict(zip(_ENVIRONMENT, map(str, self), strict=True))

    @classmethod
    def from_environment(cls) -> Self | None:
        """The node that this process is told to be, None if it is told nothing.

        Raises:
            ConfigError: it is told only a part.
        """
        told = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        if not told:
            return None
        if missing := [name for name in _ENVIRONMENT if name not in told]:
            raise ConfigError(f"{' and '.join(told)} set without {' and '.join(missing)}")
        rank, nodes, rendezvous, run_id = told.values()
        return cls(int(rank), int(nodes), rendezvous, run_id)

    @property
    def address(self) -> str:
        """This host's own address on the way to the rendezvous.

        Raises:
            ConfigError: the rendezvous cannot be reached, or is not `host:port`.
        """
        host, port = split_endpoint(self.rendezvous)
        try:
            return local_address(host, port)
        except OSError as error:
            raise ConfigError(f"{self.rendezvous} cannot be reached: {error}") from None

    def interfaces(self) -> dict[str, str]:
        """Variables that keep gloo and NCCL to the interface of `address`; what is set stays."""
        name = interface_of(self.address)
        return {variable: os.environ.get(variable, name) for variable in _INTERFACES if name}


def split_endpoint(endpoint: str) -> tuple[str, int]:
    """Host and port of `host:port` or `[IPv6]:port`.

    Raises:
        ConfigError: it is neither.
    """
    host, _, port = endpoint.rpartition(":")
    if not host or not port.isascii() or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ConfigError(f"{endpoint!r} is not host:port, such as 10.0.0.5:29500")
    return host.removeprefix("[").removesuffix("]"), int(port)


def join_endpoint(host: str, port: int) -> str:
    """What `split_endpoint` takes apart."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def local_address(host: str, port: int) -> str:
    """The address with which this machine would speak to a host; nothing is sent.

    Raises:
        OSError: its name is unknown, or no way leads there.
    """
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as probe:
        probe.connect(address)
        return str(probe.getsockname()[0])


def interface_of(address: str) -> str | None:
    """The name of the network interface that has an address; None if none has it."""
    for name, addresses in psutil.net_if_addrs().items():
        if any(one.address.partition("%")[0] == address for one in addresses):
            return str(name)
    return None
