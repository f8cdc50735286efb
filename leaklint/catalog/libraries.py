"""What libraries beyond the standard one do with a task, each row with the page that says so.

A method is named by its type: `aiojobs.Scheduler.spawn`. Where the documentation is silent, the source decided.
"""

from __future__ import annotations

from leaklint.catalog.roles import Entry, Role, rows

_ANYIO = "https://anyio.readthedocs.io/en/stable/api.html"
_PORTAL = "https://anyio.readthedocs.io/en/stable/threads.html"
_TASK = "https://docs.python.org/3/library/asyncio-task.html"
_TRIO = "https://trio.readthedocs.io/en/stable/reference-core.html"
_UVLOOP = "https://uvloop.readthedocs.io/api/index.html"
_AIOJOBS = "https://aiojobs.readthedocs.io/en/stable/api.html"
_AIOTOOLS = "https://aiotools.readthedocs.io/en/latest/"
_ASYNCER = "https://asyncer.tiangolo.com/reference/asyncer/"
_QUATTRO = "https://quattro.threeofwands.com/en/latest/"
_TIMEOUT = "https://pypi.org/project/async-timeout/"
_PYTEST = "https://docs.pytest.org/en/stable/how-to/fixtures.html"
_TORNADO = "https://www.tornadoweb.org/en/stable/ioloop.html"
_STARLETTE = "https://www.starlette.io/background/"
_FASTAPI = "https://fastapi.tiangolo.com/tutorial/background-tasks/"
_AIOHTTP = "https://docs.aiohttp.org/en/stable/web_advanced.html"
_HASS = "https://developers.home-assistant.io/docs/asyncio_working_with_async"
_HASS_JOBS = "https://developers.home-assistant.io/blog/2024/03/13/deprecate_add_run_job"
_HASS_UNLOAD = "https://developers.home-assistant.io/docs/core/integration-quality-scale/rules/config-entry-unloading"
_TEXTUAL = "https://textual.textualize.io/guide/workers/"
_NICEGUI = "https://nicegui.io/documentation/section_action_events"
_DISCORD = "https://discordpy.readthedocs.io/en/stable/ext/tasks/index.html"
_DISCORD_API = "https://discordpy.readthedocs.io/en/stable/api.html"
_BOTS = "discord.Client discord.AutoShardedClient discord.ext.commands.Bot discord.ext.commands.AutoShardedBot"
_APP = "aiohttp.web.Application"
_TRIO_SCOPES = "trio.CancelScope trio.move_on_after trio.move_on_at trio.fail_after trio.fail_at"
_QUATTRO_SCOPES = "quattro.CancelScope quattro.move_on_after quattro.move_on_at quattro.fail_after quattro.fail_at"

LIBRARIES: dict[str, Entry] = {
    # -- AnyIO, trio, uvloop
    **rows(Role.GROUP, _ANYIO, "anyio.create_task_group anyio.abc.TaskGroup"),
    **rows(Role.GROUP, _PORTAL, "anyio.from_thread.BlockingPortal anyio.abc.BlockingPortal"),
    **rows(Role.GROUP, _PORTAL, "anyio.from_thread.start_blocking_portal anyio.from_thread.BlockingPortalProvider"),
    **rows(Role.TIMEOUT, _ANYIO, "anyio.fail_after"),
    **rows(Role.MOVE_ON, _ANYIO, "anyio.move_on_after"),
    **rows(Role.HARMLESS, _ANYIO, "anyio.Event anyio.Lock anyio.current_time anyio.CancelScope"),
    **rows(Role.GROUP, _TRIO, "trio.open_nursery trio.Nursery"),
    **rows(Role.TIMEOUT, _TRIO, "trio.fail_after trio.fail_at"),
    **rows(Role.MOVE_ON, _TRIO, "trio.move_on_after trio.move_on_at"),
    **rows(Role.HARMLESS, _TRIO, "trio.Event trio.Lock trio.current_time trio.CancelScope"),
    **rows(Role.LOOP, _UVLOOP, "uvloop.Loop uvloop.new_event_loop"),
    **rows(Role.RUN, _UVLOOP, "uvloop.run"),
    # -- owners of tasks
    **rows(Role.OWNER, _AIOJOBS, "aiojobs.Scheduler aiojobs.create_scheduler aiojobs.aiohttp.get_scheduler"),
    **rows(Role.SPAWN_OWNED, _AIOJOBS, "aiojobs.aiohttp.spawn"),
    **rows(Role.GROUP, _AIOTOOLS, "aiotools.TaskGroup aiotools.PersistentTaskGroup aiotools.TaskScope"),
    **rows(Role.GROUP, _AIOTOOLS, "aiotools.Supervisor aiotools.ShieldScope aiotools.move_on_after"),
    **rows(Role.CANCEL_AND_WAIT, _AIOTOOLS, "aiotools.cancel_and_wait"),
    **rows(Role.SPAWN, _AIOTOOLS, "aiotools.create_timer"),
    **rows(Role.TIMEOUT, _AIOTOOLS, "aiotools.timeout aiotools.timeout_at"),
    **rows(Role.GROUP, _ASYNCER, "asyncer.create_task_group asyncer.TaskGroup"),
    **rows(Role.GROUP, _QUATTRO, "quattro.TaskGroup"),
    **rows(Role.TIMEOUT, _QUATTRO, "quattro.fail_after quattro.fail_at"),
    **rows(Role.MOVE_ON, _QUATTRO, "quattro.move_on_after quattro.move_on_at"),
    **rows(Role.HARMLESS, _QUATTRO, "quattro.CancelScope"),
    **rows(Role.GROUP, "https://pypi.org/project/taskgroup/", "taskgroup.TaskGroup"),
    **rows(Role.TIMEOUT, _TIMEOUT, "async_timeout.timeout async_timeout.timeout_at"),
    # -- tests
    **rows(Role.FIXTURE, _PYTEST, "pytest.fixture pytest_asyncio.fixture pytest.yield_fixture"),
    **rows(Role.SUPPRESS, "https://docs.pytest.org/en/stable/reference/reference.html", "pytest.raises"),
    # -- the web
    **rows(Role.COROUTINE, "https://www.tornadoweb.org/en/stable/gen.html", "tornado.gen.coroutine"),
    **rows(Role.OBJECT, _TORNADO, "tornado.ioloop.IOLoop"),
    **rows(Role.SPAWN_DROPPED, _TORNADO, "tornado.ioloop.IOLoop.add_callback tornado.ioloop.IOLoop.spawn_callback"),
    **rows(Role.SPAWN_DROPPED, _TORNADO, "tornado.ioloop.IOLoop.add_callback_from_signal"),
    **rows(Role.OBJECT, _STARLETTE, "starlette.background.BackgroundTasks"),
    **rows(Role.SPAWN_OWNED, _STARLETTE, "starlette.background.BackgroundTasks.add_task"),
    **rows(Role.OBJECT, _FASTAPI, "fastapi.BackgroundTasks fastapi.background.BackgroundTasks"),
    **rows(Role.SPAWN_OWNED, _FASTAPI, "fastapi.BackgroundTasks.add_task fastapi.background.BackgroundTasks.add_task"),
    **rows(Role.OBJECT, _AIOHTTP, f"{_APP} {_APP}.cleanup_ctx {_APP}.on_shutdown {_APP}.on_cleanup"),
    **rows(Role.RESUME_HOOK, _AIOHTTP, f"{_APP}.cleanup_ctx.append {_APP}.cleanup_ctx.extend"),
    **rows(Role.END_HOOK, _AIOHTTP, f"{_APP}.on_shutdown.append {_APP}.on_cleanup.append"),
    # -- applications that own the tasks of their parts
    **rows(Role.OBJECT, _HASS, "homeassistant.core.HomeAssistant homeassistant.config_entries.ConfigEntry"),
    **rows(Role.SPAWN_OWNED, _HASS_JOBS, "homeassistant.core.HomeAssistant.async_create_task"),
    **rows(Role.SPAWN_OWNED, _HASS_JOBS, "homeassistant.core.HomeAssistant.async_create_background_task"),
    **rows(Role.SPAWN_OWNED, _HASS, "homeassistant.core.HomeAssistant.create_task"),
    **rows(Role.SPAWN_OWNED, _HASS_JOBS, "homeassistant.config_entries.ConfigEntry.async_create_task"),
    **rows(Role.SPAWN_OWNED, _HASS_JOBS, "homeassistant.config_entries.ConfigEntry.async_create_background_task"),
    **rows(Role.END_HOOK, _HASS_UNLOAD, "homeassistant.config_entries.ConfigEntry.async_on_unload"),
    **rows(Role.OBJECT, _TEXTUAL, "textual.app.App textual.screen.Screen textual.widget.Widget"),
    **rows(Role.SPAWN_OWNED, _TEXTUAL, "textual.app.App.run_worker textual.screen.Screen.run_worker"),
    **rows(Role.SPAWN_OWNED, _TEXTUAL, "textual.widget.Widget.run_worker"),
    **rows(Role.WORKER, _TEXTUAL, "textual.work"),
    # its `teardown` cancels them and waits until they have ended
    **rows(Role.SPAWN_OWNED, _NICEGUI, "nicegui.background_tasks.create nicegui.background_tasks.create_lazy"),
    **rows(Role.END_HOOK, _NICEGUI, "nicegui.app.on_shutdown"),
    **rows(Role.OBJECT, _DISCORD_API, _BOTS),
    **rows(Role.OBJECT, _DISCORD, "discord.ext.tasks.Loop"),
    **rows(Role.SPAWN_KEPT, _DISCORD, "discord.ext.tasks.Loop.start"),
    **rows(
        Role.CONTEXT_MANAGER,
        "https://async-generator.readthedocs.io/en/latest/reference.html",
        "async_generator.asynccontextmanager",
    ),
}

_EVENT_LOOP = "asyncio.AbstractEventLoop"

TYPES: dict[str, tuple[str, str]] = {
    "asyncio.Runner.get_loop": (_EVENT_LOOP, "https://docs.python.org/3/library/asyncio-runner.html#asyncio.Runner"),
    "aiotools.move_on_after": ("aiotools.TaskScope", _AIOTOOLS),
    **dict.fromkeys(("anyio.CancelScope", "anyio.move_on_after", "anyio.fail_after"), ("anyio.CancelScope", _ANYIO)),
    **dict.fromkeys(_TRIO_SCOPES.split(), ("trio.CancelScope", _TRIO)),
    **dict.fromkeys(_QUATTRO_SCOPES.split(), ("quattro.CancelScope", _QUATTRO)),
    **{path: (path, _TASK) for path in ("asyncio.timeout", "asyncio.timeout_at")},
    **{path: (path, _TIMEOUT) for path in ("async_timeout.timeout", "async_timeout.timeout_at")},
    "tornado.ioloop.IOLoop.current": ("tornado.ioloop.IOLoop", _TORNADO),
    "tornado.ioloop.IOLoop.instance": ("tornado.ioloop.IOLoop", _TORNADO),
    "tornado.ioloop.IOLoop.asyncio_loop": (_EVENT_LOOP, _TORNADO),
    f"{_APP}.loop": (_EVENT_LOOP, "https://docs.aiohttp.org/en/stable/web_reference.html#aiohttp.web.Application.loop"),
    "homeassistant.core.HomeAssistant.loop": (_EVENT_LOOP, _HASS),
    "nicegui.core.loop": (_EVENT_LOOP, _NICEGUI),
    "discord.ext.tasks.loop": ("discord.ext.tasks.Loop", _DISCORD),
    **{f"{bot}.loop": (_EVENT_LOOP, _DISCORD_API) for bot in _BOTS.split()},
}
"""The class of what an attribute or a call gives, or of what a decorator makes; and the page that says so."""
