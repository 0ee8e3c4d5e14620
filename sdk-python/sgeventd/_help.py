"""What a plugin says that is run by hand: it has no daemon to talk to.

In: the plugin. Out: text.
Never: waiting on the terminal.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._plugin import Plugin

EXIT_USAGE = 64

_TEXT = """\
{title}
{description}
This is a plugin of sgeventd, the event daemon for Shotgun / Flow Production Tracking.
It is not started by hand: the daemon starts it and talks to it through a pipe.

  run it       put {file} in a folder listed under [plugins] paths; the daemon finds it
  check it     sgeventd check {file}
  try it       sgeventd sandbox --scenario demo --rate 5, a made-up site for [site] url
  watch it     sgeventd status; what it prints and logs is in the daemon's log
  test it      from sgeventd.testing import make_event, run_handler   (see its docs)

It handles:
{handlers}
"""


def text(plugin: "Plugin", file: str) -> str:
    """Returns the help of one plugin."""
    rows = []
    for handler in plugin.handlers:
        events = handler.subscription.get("events")
        wanted = "every event" if events is None else ", ".join(sorted(events))
        rows.append(f"  {handler.id:<12} {wanted}")
    title = f"{plugin.name} {plugin.version}".strip()
    description = plugin.description + "\n" if plugin.description else ""
    return _TEXT.format(
        title=title,
        description=description,
        file=file,
        handlers="\n".join(rows) or "  nothing yet: see @plugin.on",
    )
