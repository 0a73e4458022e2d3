"""The command line. Each command imports what it needs when it runs, so that ``--help`` answers at once.

Exit status: 0 done, 1 the work failed, 2 wrong use or an unusable configuration.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer

from appliance.cli_keys import erase_app, keys_app
from appliance.cli_output import Config, Json
from appliance.cli_output import emit as _emit
from appliance.cli_output import fail as _fail
from appliance.cli_output import say as _say
from appliance.cli_people import tokens_app, users_app
from appliance.configuration import load_settings
from appliance.settings import Settings

app = typer.Typer(
    name="scanside",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="AI triage beside the scanner. Research use only, not for diagnosis.",
)
outbox_app = typer.Typer(no_args_is_help=True, help="What is still to be delivered, and what is parked.")
models_app = typer.Typer(no_args_is_help=True, help="The model packs of this installation.")
labels_app = typer.Typer(no_args_is_help=True, help="What people have said of studies at the page.")
audit_app = typer.Typer(no_args_is_help=True, help="Who did what: the audit trail, a chain that is only appended to.")
cloud_app = typer.Typer(invoke_without_command=True)
app.add_typer(cloud_app, name="cloud")
app.add_typer(audit_app, name="audit")
app.add_typer(outbox_app, name="outbox")
app.add_typer(models_app, name="models")
app.add_typer(users_app, name="users")
app.add_typer(tokens_app, name="tokens")
app.add_typer(labels_app, name="labels")
app.add_typer(keys_app, name="keys")
app.add_typer(erase_app, name="erase")

#: What ``models new`` imports and a box does not have.
_PACKS_EXTRA = frozenset({"mapie", "nncf", "scipy", "sklearn"})


@app.command()
def serve(config: Config = None) -> None:
    """Run the box: receiver, triage worker, uplink and status page, each restarted when it ends.

    A configuration that cannot be used changes nothing: what was last in force stays so, or the page alone is shown.
    """
    from appliance.commands.serving import serve_box

    if not serve_box(config):
        raise typer.Exit(2)


@cloud_app.callback()
def cloud(context: typer.Context, config: Config = None) -> None:
    """Run the cloud sync endpoint: takes uploads, runs the full pack, answers."""
    from appliance.commands.serving import serve_cloud

    if context.invoked_subcommand is not None:
        if config is not None:
            raise typer.BadParameter(f"--config goes behind {context.invoked_subcommand}")
        return

    serve_cloud(load_settings(config), config)


Boxes = Annotated[list[str] | None, typer.Option("--box", help="To this box, by its box_id; repeatable.")]
AllBoxes = Annotated[bool, typer.Option("--all", help="To every box that has ever asked for answers.")]


@cloud_app.command("notice")
def cloud_notice(
    text: Annotated[str, typer.Argument(help="What a person at the box should know; at most 1000 characters.")],
    box: Boxes = None,
    all_boxes: AllBoxes = False,
    warning: Annotated[bool, typer.Option("--warning", help="Shown among the problems, not among the notes.")] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Send words to boxes: they stand on the page until a person there has acknowledged them."""
    from appliance.commands.cloud_messages import notice

    _send(notice(text, "warning" if warning else "info"), box, all_boxes, config, as_json)


@cloud_app.command("thresholds")
def cloud_thresholds(
    pack_digest: Annotated[str, typer.Argument(help="SHA-256 of the pack's manifest, as the box's page shows it.")],
    routine_below: Annotated[float, typer.Option("--routine-below", help="Probability, 0 to 1.")],
    urgent_from: Annotated[float, typer.Option("--urgent-from", help="Probability, 0 to 1.")],
    box: Boxes = None,
    all_boxes: AllBoxes = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Send new lines for a pack. A box takes only lines that settle no more than the pack's own."""
    from appliance.commands.cloud_messages import thresholds

    _send(thresholds(pack_digest, routine_below, urgent_from), box, all_boxes, config, as_json)


@cloud_app.command("messages")
def cloud_messages(
    box: Annotated[str | None, typer.Option("--box", help="Only to this box.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")] = 100,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """What was sent to boxes and what became of it, the newest first."""
    from appliance.commands.cloud_messages import as_line, sent_messages

    for row in sent_messages(load_settings(config), box, limit):
        _emit(row) if as_json else _say(as_line(row))


@cloud_app.command("enrol")
def cloud_enrol(
    box: Annotated[str, typer.Argument(help="The box's box_id.")],
    hours: Annotated[float, typer.Option(min=0.1, max=720, help="How long the code counts.")] = 24.0,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Make a one-time code that lets a box in; scanside enrol there asks for it."""
    from appliance.commands.enrolment import make_code

    code = make_code(load_settings(config), box, hours)
    _emit({"box": box, "code": code, "hours": hours}) if as_json else _say(f"{code}\nonce, within {hours:g} h")


@cloud_app.command("boxes")
def cloud_boxes(config: Config = None, as_json: Json = False) -> None:
    """The boxes that have been enrolled, and until when their certificates count."""
    import time

    from appliance.commands.enrolment import as_line, known_boxes

    for row in known_boxes(load_settings(config)):
        _emit(row) if as_json else _say(as_line(row, time.time()))


@cloud_app.command("revoke")
def cloud_revoke(
    box: Annotated[str, typer.Argument(help="The box's box_id.")], config: Config = None, as_json: Json = False
) -> None:
    """Take back a box's certificates and codes; from the next request on it is a stranger."""
    from appliance.commands.enrolment import revoke_box

    count = revoke_box(load_settings(config), box)
    _emit({"box": box, "taken_back": count}) if as_json else _say(f"{count} certificates of {box} taken back")


def _send(body: Any, box: list[str] | None, all_boxes: bool, config: Path | None, as_json: bool) -> None:
    from appliance.commands.cloud_messages import send_to

    for row in send_to(load_settings(config), body, box or [], all_boxes):
        _emit(row) if as_json else _say(f"{row['seq']} to {row['box']}")


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="End by itself when all is settled.")] = False,
    images: Annotated[Path | None, typer.Option("--images", help="Folder of DICOM or PNG/JPEG to send.")] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """The whole product on loopback: sends studies, cuts the link, restores it, shows where to look."""
    from appliance.demo.play import play

    own_port = load_settings(config).page.port if config else None
    if not play(images, once=once, as_json=as_json, page_port=own_port):
        raise typer.Exit(1)


@app.command()
def triage(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files or folders; PNG/JPEG with --as.")],
    attributes: Annotated[
        str | None,
        typer.Option("--as", help='Header of a plain picture: "Modality=DX,BodyPartExamined=CHEST,…".'),
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Read images without a daemon: one line per file."""
    from appliance.commands.triage import read_paths

    if not read_paths(paths, attributes, load_settings(config), as_json):
        raise typer.Exit(1)


@app.command()
def evaluate(
    pack: Annotated[str, typer.Argument(help="Name of a pack, or a pack's folder.")],
    images: Annotated[Path, typer.Option("--images", help="Folder of the labelled images.")],
    labels: Annotated[Path, typer.Option("--labels", help="CSV with the columns file,label; patient if known.")],
    normal: Annotated[
        str | None, typer.Option("--normal", help="A further label that means: nothing to act on.")
    ] = None,
    plots: Annotated[Path | None, typer.Option("--plots", help="Draw the curves into this folder.")] = None,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Change the images and their DICOM form instead, a row for each.")
    ] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Measure a pack on labelled images."""
    from appliance.commands.evaluate import as_text, check_plots, evaluate_pack, measure_robustness
    from models.robustness import as_table

    settings = load_settings(config)
    if robustness:
        if plots is not None:
            raise typer.BadParameter("--plots goes with the figures, not with --robustness")
        rows = measure_robustness(pack, images, labels, normal, settings)
        for row in rows if as_json else []:
            _emit(row)
        if not as_json:
            _say(as_table(rows))
        return
    if plots is None:
        figures = evaluate_pack(pack, images, labels, normal, settings)
    else:
        check_plots()
        from appliance.commands.curves_drawn import draw_curves

        figures = evaluate_pack(pack, images, labels, normal, settings, (plots, draw_curves))
    _emit(figures) if as_json else _say(as_text(figures))


@app.command()
def status(
    acknowledge: Annotated[
        int | None, typer.Option("--acknowledge", help="Say that the notice with this number has been read.")
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Where the box stands: studies, outbox, link, packs, devices, disk."""
    from appliance.commands.status import acknowledge_notice, status_of, status_text

    settings = load_settings(config)
    if acknowledge is not None and not acknowledge_notice(settings, acknowledge):
        raise _fail(f"there is no notice {acknowledge}; scanside status shows which there are")
    found = status_of(settings)
    if as_json:
        _emit(found)
    else:
        _say(status_text(found))


@app.command()
def check(
    rehash: Annotated[bool, typer.Option("--rehash", help="Also read every spooled file back.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Put database and spool right; what is damaged goes to quarantine.")
    ] = False,
    rules: Annotated[
        list[Path] | None,
        typer.Option("--rules", help="Only say what the rules would do with this file or folder; repeatable."),
    ] = None,
    sender: Annotated[str, typer.Option("--sender", help="With --rules: as if sent by this calling AE title.")] = "",
    destinations: Annotated[
        bool,
        typer.Option("--destinations", help="Also ask every destination, and peers with an address, for an answer."),
    ] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Examine configuration, database, spool, packs and devices; exit status 1 when something is wrong."""
    from appliance.commands.check import examine

    settings = load_settings(config)
    if rules:
        if rehash or repair or destinations:
            raise typer.BadParameter("--rules examines nothing else; leave out --rehash, --repair and --destinations")
        return _try_rules(settings, rules, sender, as_json)
    with redirect_stdout(sys.stderr):  # what a repair logs is no data
        results = examine(settings, rehash=rehash, repair=repair, destinations=destinations)
    for result in results:
        if as_json:
            _emit(result.as_dict())
        else:
            word = ("DONE" if result.repaired else "ok  ") if result.ok else "BAD "
            _say(f"{word} {result.what}: {result.detail}")
    if not all(result.ok for result in results):
        raise typer.Exit(1)


def _try_rules(settings: Settings, paths: list[Path], sender: str, as_json: bool) -> None:
    from appliance.commands.check_rules import as_text, try_rules

    rows = list(try_rules(settings, paths, sender))
    for row in rows:
        _emit(row) if as_json else _say(as_text(row))
    if not rows or any("error" in row for row in rows):
        raise typer.Exit(1) if rows else _fail("there is no file in what --rules names")


@app.command("import")
def import_(
    medium: Annotated[Path, typer.Argument(help="A DICOMDIR, or the folder it lies in, such as a mounted CD.")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Take in what a DICOMDIR names; the medium is only read. Exit status 1 when something of it is not taken."""
    from appliance.commands.import_media import as_line, as_row, import_media, summary
    from appliance.ingest.media_directory import DirectoryUnusable

    results = []
    try:
        for one in import_media(medium, load_settings(config)):
            results.append(one)
            if as_json:
                _emit(as_row(one))
            elif not one.outcome.is_taken:
                _say(as_line(one))
    except DirectoryUnusable as unusable:
        raise _fail(str(unusable)) from None
    except OSError as error:
        raise _fail(f"{error.filename}: {error.strerror}; look at its permissions and its disk") from None
    if not as_json:
        _say(summary(results))
    if not all(one.outcome.is_taken for one in results):
        raise typer.Exit(1)


@app.command()
def deidentify(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A DICOM file or a folder of them.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="Where the de-identified copy goes.")],
    table: Annotated[bool, typer.Option("--table", help="Print the fate of every element, one a line.")] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Write the copies that would go to the cloud, with a report of every element's fate."""
    from appliance.commands.deidentify import deidentify_command

    if not deidentify_command(source, target, load_settings(config), as_json, table):
        raise typer.Exit(1)


@app.command()
def bench(
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="How often each figure is taken.")] = 3,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Measure this machine: ingest with fsync, decoding, inference per backend, uplink drain."""
    from appliance.commands.bench import measure_all

    measure_all(load_settings(config), rounds, as_json)


@labels_app.command("export")
def labels_export(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="Where they go: JSON if it ends in .json, else CSV.")],
    images: Annotated[Path | None, typer.Option("--images", help="Copy the labelled images into this folder.")] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Write the latest label of every study as evaluate takes it: a row for each image it is about."""
    from dataclasses import asdict

    from appliance.commands.labels import as_text, export_labels
    from appliance.home import open_home

    try:
        exported = export_labels(open_home(load_settings(config)), target, images)
    except OSError as error:
        raise _fail(f"{error.filename}: {error.strerror}; look at its permissions and its disk") from None
    _emit(asdict(exported)) if as_json else _say(as_text(exported))


@app.command()
def enrol(config: Config = None, as_json: Json = False) -> None:
    """Make this box known to the cloud by a certificate; asks for the one-time code, or reads it from a pipe."""
    from datetime import UTC, datetime

    from appliance.commands.enrolment import enrol_box
    from store_forward.errors import DeliveryDeferred
    from store_forward.identity import NotEnrolled

    settings = load_settings(config)
    code = typer.prompt("one-time code", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    try:
        done = enrol_box(settings, code)
    except NotEnrolled as refused:
        raise _fail(f"not enrolled: {refused}. Ask for a new code: scanside cloud enrol, at the endpoint") from None
    except DeliveryDeferred as away:
        raise _fail(f"the endpoint cannot be reached: {away.detail}; look at cloud.url and cloud.ca") from None
    except OSError as error:
        raise _fail(f"the certificate cannot be kept: {error.strerror}") from None
    until = datetime.fromtimestamp(done["expires_at"], UTC).strftime("%Y-%m-%d")
    _emit(done) if as_json else _say(f"enrolled as {done['box']} until {until}; it is renewed by itself")


@app.command(hidden=True)
def run(name: str, config: Config = None) -> None:
    """One supervised process; started by ``serve`` and ``cloud``."""
    from appliance.start.standing import SAFE_PAGE

    if name == SAFE_PAGE:  # without all that the other processes need, so that it is there at once
        from appliance.web.safe_page import serve_safe_page

        return serve_safe_page()
    from appliance.commands.serving import run_supervised

    run_supervised(name, config)


def _box(settings: Settings) -> Any:
    from appliance.home import open_home

    return open_home(settings)


def _chosen(words: Any, settings: Settings, engine: Any, *, required: bool) -> Any:
    """The selection that is meant; wrong use with the repair when the words make no sense."""
    import time

    from appliance.commands.outbox_choice import WrongChoice, require_choice, require_destination, selection_of

    try:
        if required:
            require_choice(words)
        require_destination(words, settings, engine)
        return selection_of(words, time.time())
    except WrongChoice as wrong:
        raise typer.BadParameter(str(wrong)) from None


Numbers = Annotated[list[int] | None, typer.Argument(metavar="[DELIVERIES]...", help="Delivery numbers.")]
State = Annotated[str | None, typer.Option("--state", help="Only waiting, leased, delivered or parked ones.")]
Destination = Annotated[str | None, typer.Option("--destination", help="Only to this destination.")]
OlderThan = Annotated[
    str | None, typer.Option("--older-than", metavar="DURATION", help="Only those asked for before: 90s, 15m, 2h, 3d.")
]
Cause = Annotated[str | None, typer.Option("--cause", help="Only those with this cause, such as cloud_full.")]
Everything = Annotated[bool, typer.Option("--all", help="Every delivery there is.")]


@outbox_app.command("list")
def outbox_list(
    state: State = None,
    destination: Destination = None,
    older_than: OlderThan = None,
    cause: Cause = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")] = 100,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Deliveries, the next to go first."""
    from appliance.commands.outbox import as_line, list_deliveries
    from appliance.commands.outbox_choice import Words

    settings = load_settings(config)
    engine = _box(settings).engine
    words = Words((), destination, state, older_than, cause)
    for row in list_deliveries(engine, _chosen(words, settings, engine, required=False), limit):
        _emit(row) if as_json else _say(as_line(row))


@outbox_app.command("show")
def outbox_show(
    delivery: Annotated[int, typer.Argument(help="Its number.")], config: Config = None, as_json: Json = False
) -> None:
    """One delivery with every attempt."""
    from appliance.commands.outbox import NoSuchDelivery, as_text, show_delivery

    try:
        found = show_delivery(_box(load_settings(config)).engine, delivery)
    except NoSuchDelivery as unknown:
        raise _fail(str(unknown)) from None
    _emit(found) if as_json else _say(as_text(found))


@outbox_app.command("retry")
def outbox_retry(
    deliveries: Numbers = None,
    parked: Annotated[bool, typer.Option("--parked", help="The same as --state parked.")] = False,
    state: State = None,
    destination: Destination = None,
    older_than: OlderThan = None,
    cause: Cause = None,
    everything: Everything = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Make deliveries due now: parked and waiting ones among those that are given."""
    from appliance.commands.outbox import NoSuchDelivery, moved_text, retry_deliveries
    from appliance.commands.outbox_choice import Words

    if parked and state not in (None, "parked"):
        raise typer.BadParameter("--parked and --state contradict each other; leave one out")
    settings = load_settings(config)
    engine = _box(settings).engine
    state = "parked" if parked else state
    words = Words(tuple(deliveries or ()), destination, state, older_than, cause, everything)
    try:
        moved, left = retry_deliveries(engine, _chosen(words, settings, engine, required=True))
    except NoSuchDelivery as unknown:
        raise _fail(f"{unknown}. Nothing has changed.") from None
    text = moved_text(moved, left, "due now", "delivered, or under way")
    _emit({"due": moved, "left": left}) if as_json else _say(text)


@outbox_app.command("park")
def outbox_park(
    deliveries: Numbers = None,
    state: State = None,
    destination: Destination = None,
    older_than: OlderThan = None,
    cause: Cause = None,
    everything: Everything = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Set deliveries aside until a person asks for them again; what is under way is broken off."""
    from appliance.commands.outbox import NoSuchDelivery, moved_text, park_deliveries
    from appliance.commands.outbox_choice import Words

    settings = load_settings(config)
    engine = _box(settings).engine
    words = Words(tuple(deliveries or ()), destination, state, older_than, cause, everything)
    try:
        moved, left = park_deliveries(engine, _chosen(words, settings, engine, required=True))
    except NoSuchDelivery as unknown:
        raise _fail(f"{unknown}. Nothing has changed.") from None
    text = moved_text(moved, left, "parked", "delivered, or parked already")
    _emit({"parked": moved, "left": left}) if as_json else _say(text)


@outbox_app.command("export")
def outbox_export(
    deliveries: Numbers = None,
    state: State = None,
    destination: Destination = None,
    older_than: OlderThan = None,
    cause: Cause = None,
    out: Annotated[Path | None, typer.Option("--out", help="File to write; without it, standard output.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV, a row for every event, instead of JSON lines.")] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Write deliveries with their history for a ticket to the far side; all of them when none are named."""
    from appliance.commands.outbox import NoSuchDelivery
    from appliance.commands.outbox_choice import Words
    from appliance.commands.outbox_export import export

    settings = load_settings(config)
    engine = _box(settings).engine
    words = Words(tuple(deliveries or ()), destination, state, older_than, cause)
    selection = _chosen(words, settings, engine, required=False)
    try:
        if out is None:
            export(engine, selection, sys.stdout, as_csv)
            return
        with out.open("x", encoding="utf-8", newline="") as file:
            written = export(engine, selection, file, as_csv)
    except NoSuchDelivery as unknown:
        if out is not None:
            out.unlink()
        raise _fail(str(unknown)) from None
    except FileExistsError:
        raise _fail(f"{out} is there already; name another file, or move it away") from None
    except OSError as error:
        raise _fail(f"{out or 'standard output'}: {error.strerror}; nothing can be relied on there") from None
    _emit({"exported": written, "file": str(out)}) if as_json else _say(f"{written} written to {out}")


@models_app.command("list")
def models_list(config: Config = None, as_json: Json = False) -> None:
    """Every pack, and every folder that was refused as a pack, with the reason."""
    from appliance.commands.packs import list_packs, pack_line

    for row in list_packs(load_settings(config)):
        _emit(row) if as_json else _say(pack_line(row))


@models_app.command("verify")
def models_verify(
    path: Annotated[Path, typer.Argument(help="A pack's folder or archive.")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Check a pack's folder, or an archive, against its manifest."""
    from appliance.commands.packs import verify
    from models.errors import PackRejected

    try:
        pack = verify(path, load_settings(config))
    except PackRejected as rejected:
        raise _fail(str(rejected)) from None
    row = {"name": pack.manifest.name, "version": pack.manifest.version, "digest": pack.digest}
    _emit(row) if as_json else _say(" ".join(row.values()))


@models_app.command("selftest")
def models_selftest(config: Config = None, as_json: Json = False) -> None:
    """Run every pack's golden set on every device of this machine."""
    from appliance.commands.packs import selftest, selftest_line

    good = True
    for row in selftest(load_settings(config)):
        good &= bool(row["ok"])
        _emit(row) if as_json else _say(selftest_line(row))
    if not good:
        raise typer.Exit(1)


@models_app.command("new")
def models_new(
    description: Annotated[Path, typer.Argument(help="TOML file that says what the network is for.")],
    network: Annotated[Path, typer.Option("--network", help="ONNX file of a trained classifier.")],
    images: Annotated[Path, typer.Option("--images", help="Folder of labelled images that did not train it.")],
    labels: Annotated[Path, typer.Option("--labels", help="CSV with the columns file,label.")],
    out: Annotated[Path, typer.Option("--out", help="Folder in which the pack and its archive are made.")],
    foreign: Annotated[
        list[Path] | None, typer.Option("--foreign", help="Folder of images of other kinds, to be refused; repeatable.")
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Make a calibrated INT8 pack from a network of your own and labelled images."""
    from models.errors import PackRejected

    load_settings(config)
    try:
        from appliance.commands.new_pack import new_pack
    except ModuleNotFoundError as missing:
        if (missing.name or "").split(".")[0] not in _PACKS_EXTRA:
            raise
        repair = "install it with: pip install 'scanside[packs]'"
        raise _fail(f"models new needs {missing.name}, which is not installed; {repair}") from None
    try:
        row, text = new_pack(description, network, (images, labels, foreign or []), out)
    except PackRejected as rejected:
        raise _fail(str(rejected)) from None
    _emit(row) if as_json else _say(text)


@models_app.command("install")
def models_install(
    file: Annotated[Path, typer.Argument(help="An archive that scanside models export made.")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Check an archive and put its pack beside those in use; it reads only once it is activated."""
    from appliance.audit.events import Outcome
    from appliance.commands.packs import installed_line, installed_row, note_pack
    from appliance.pack_store import install
    from models.errors import PackRejected

    settings = load_settings(config)
    try:
        row = installed_row(install(file, settings))
    except PackRejected as rejected:
        note_pack(settings, "refused at installation", rejected.pack, Outcome.MINOR_FAILURE)
        raise _fail(str(rejected)) from None
    note_pack(settings, "installed", f"{row['name']}@{row['digest']}")
    _emit(row) if as_json else _say(installed_line(row))


@models_app.command("activate")
def models_activate(
    pack: Annotated[
        str, typer.Argument(help="NAME for the highest version installed, NAME@VERSION, NAME@DIGEST or NAME@default.")
    ],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Run a pack's golden set on this machine and, if it comes out right, have the pack read from now on."""
    from appliance.audit.events import Outcome
    from appliance.commands.packs import in_use_line, in_use_row, note_pack
    from appliance.pack_store import activate
    from models.errors import PackRejected

    settings = load_settings(config)
    try:
        row = in_use_row(activate(pack, settings))
    except PackRejected as rejected:
        note_pack(settings, "refused for use", pack, Outcome.MINOR_FAILURE)
        raise _fail(f"{rejected}. Nothing has changed.") from None
    except OSError as error:
        raise _fail(f"{error.strerror}; repair the disk or free it, and see scanside models list") from None
    note_pack(settings, "taken into use", f"{row['name']}@{row['digest']}")
    _emit(row) if as_json else _say(in_use_line(row))


@models_app.command("rollback")
def models_rollback(
    name: Annotated[str, typer.Argument(help="Name of the pack.")], config: Config = None, as_json: Json = False
) -> None:
    """Have the pack read again that was in use before, after its golden set has come out right."""
    from appliance.audit.events import Outcome
    from appliance.commands.packs import in_use_line, in_use_row, note_pack
    from appliance.pack_store import rollback
    from models.errors import PackRejected

    settings = load_settings(config)
    try:
        row = in_use_row(rollback(name, settings))
    except PackRejected as rejected:
        note_pack(settings, "refused for use", name, Outcome.MINOR_FAILURE)
        raise _fail(f"{rejected}. Nothing has changed.") from None
    except OSError as error:
        raise _fail(f"{error.strerror}; repair the disk or free it, and see scanside models list") from None
    note_pack(settings, "taken into use", f"{row['name']}@{row['digest']}")
    _emit(row) if as_json else _say(in_use_line(row))


@models_app.command("export")
def models_export(
    pack: Annotated[str, typer.Argument(help="NAME of a pack in use, or of any as with activate.")],
    out: Annotated[Path | None, typer.Argument(help="File or folder to write to; the current folder if none.")] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Write a pack as one archive, NAME-VERSION.scanpack, that scanside models install takes."""
    from appliance.pack_store import export
    from models.errors import PackRejected

    try:
        path = export(pack, out, load_settings(config))
    except PackRejected as rejected:
        raise _fail(str(rejected)) from None
    _emit({"path": str(path), "size_bytes": path.stat().st_size}) if as_json else _say(str(path))


@audit_app.command("verify")
def audit_verify(
    head: Annotated[str | None, typer.Option(help="A head that was noted earlier: it must still be in.")] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Walk the whole chain; exit status 1 when a row was changed, removed or inserted. Prints the head to keep."""
    from appliance.audit.trail import Broken, Head
    from appliance.commands.audit import verify_trail

    try:
        kept = None if head is None else Head.parse(head)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    home = _box(load_settings(config))
    found = verify_trail(home.engine, kept)
    if isinstance(found, Broken):
        if as_json:
            _emit({"whole": False, "seq": found.seq, "why": found.why})
        raise _fail(f"the audit trail is broken at event {found.seq}: {found.why}")
    if as_json:
        _emit({"whole": True, "events": found.seq, "head": str(found)})
    else:
        _say(f"whole: {found.seq} events; keep this head elsewhere: {found}")


@audit_app.command("list")
def audit_list(
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="So many of the latest.")] = 50,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """The latest events. That they were read becomes one, too."""
    from appliance.commands.audit import as_line, latest

    for one in latest(_box(load_settings(config)).engine, limit):
        if as_json:
            _emit(one)
        else:
            _say(as_line(one))


@audit_app.command("export")
def audit_export(
    file: Annotated[Path, typer.Argument(help="Written whole or not at all.")],
    form: Annotated[str, typer.Option("--format", help="xml: DICOM Audit Messages, one a line; json: rows.")] = "xml",
    days: Annotated[float | None, typer.Option(min=0, help="Only the last so many days.")] = None,
    config: Config = None,
) -> None:
    """Write the trail to a file, and print the head to keep with it."""
    import time

    from appliance.commands.audit import export_trail

    if form not in ("xml", "json"):
        raise typer.BadParameter(f"there is no format {form!r}; there are xml and json")
    settings = load_settings(config)
    since = 0.0 if days is None else time.time() - days * 86_400
    try:
        count, head = export_trail(_box(settings).engine, file, settings.cloud.box_id, since, form)
    except OSError as error:
        raise _fail(f"{file} cannot be written: {error.strerror}") from None
    _say(f"{count} events; head {head}")
