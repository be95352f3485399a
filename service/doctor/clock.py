"""Clocks of machines that write times into one database."""

from paka.doctor.finding import Finding, ok, warning

_SECONDS = 2.0


def judge(server: str, skew: float) -> Finding:
    """Whether a server's clock agrees with this machine's; `skew` is how far it is ahead, in s."""
    name = f"clock of {server}"
    if abs(skew) > _SECONDS:
        found = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's"
        return warning(name, f"{found}: times of events will be wrong", "run NTP on both machines")
    return ok(name, "agrees with this machine's")
