"""Commands as a person types them, against a real server."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from footfall.cli.main import cli
from live_server import Footfall, LiveServer, clean_environment, live_server


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    commands: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        commands += leaves(command, (*path, name)) if isinstance(command, click.Group) else [(*path, name)]
    return commands


def test_up_prints_one_line_when_it_is_ready(server: LiveServer) -> None:
    expected = f"Footfall is ready at {server.endpoint} (credentials: {server.home / 'credentials.toml'})"
    assert server.ready_line == expected


def test_up_writes_credentials_that_only_the_owner_reads(server: LiveServer) -> None:
    assert (server.home / "credentials.toml").stat().st_mode & 0o777 == 0o600


def test_a_second_up_on_one_home_is_refused(footfall: Footfall, server: LiveServer) -> None:
    again = footfall("up", "--port", "0")
    assert again.code == 2
    assert server.endpoint in again.err


def test_up_beyond_loopback_without_tls_is_refused(footfall: Footfall, tmp_path: Path) -> None:
    done = footfall("up", "--home", str(tmp_path), "--host", "0.0.0.0", "--port", "0")
    assert done.code == 2
    assert "--tls-cert" in done.err


@pytest.mark.parametrize("home", ["/proc/nobody-can-write-here", "a-file", "a-file/below"])
def test_up_in_a_home_that_cannot_be_is_a_sentence(footfall: Footfall, tmp_path: Path, home: str) -> None:
    (tmp_path / "a-file").touch()
    done = footfall("up", "--home", str(tmp_path / home), "--port", "0")
    assert done.code == 2
    assert done.err.startswith("Error: ")
    assert (str(tmp_path / home) in done.err, done.err.count("\n")) == (True, 1)


def test_up_with_a_variable_that_is_no_setting_is_refused(footfall: Footfall) -> None:
    done = footfall("up", "--port", "0", FOOTFALL_COLOUR="red")
    assert (done.code, "FOOTFALL_COLOUR" in done.err) == (2, True)


def test_sigterm_ends_a_server_with_exit_code_0(tmp_path: Path) -> None:
    with live_server(tmp_path / "home") as own:
        own.process.terminate()
        assert own.process.wait(30) == 0


def test_security_02_up_prints_no_secret(server: LiveServer) -> None:
    secrets = [
        line.split('"')[1]
        for line in (server.home / "credentials.toml").read_text().splitlines()
        if line.startswith(("secret_key", "api_key"))
    ]
    log = (server.home / "server.log").read_text()
    assert len(secrets) == 2
    assert not any(secret in log or secret in server.ready_line for secret in secrets)


@pytest.mark.parametrize("path", leaves(cli), ids=" ".join)
def test_every_command_takes_home_and_json(path: tuple[str, ...]) -> None:
    command: click.Command = cli
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {"--home", "--json"} <= options
    assert command.help
    assert len(command.get_short_help_str(60)) <= 60


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; from footfall.cli import main; main.run(['--help'])\n"
        "heavy = {'urllib3', 'rich', 'polars', 'numpy', 'sqlalchemy', 'numba'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr.decode()


def test_a_file_goes_into_a_bucket_and_back(footfall: Footfall, tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "a.bin").write_bytes(content)
    put = footfall("data", "put", str(tmp_path / "a.bin"), "round-trip/d/")
    assert (put.code, put.out) == (0, "round-trip/d/a.bin  2.9 MiB\n")
    got = footfall("data", "get", "round-trip/d/a.bin", "b.bin", cwd=tmp_path)
    assert got.code == 0, got.err
    assert (tmp_path / "b.bin").read_bytes() == content
    assert not list(tmp_path.glob(".*"))
    listed = footfall("data", "ls", "round-trip/d/", "--json").json
    assert [(each["key"], each["size_bytes"]) for each in listed] == [("d/a.bin", len(content))]


def test_put_takes_the_standard_input_and_a_directory(footfall: Footfall, tmp_path: Path) -> None:
    assert footfall("data", "put", "-", "several/in.txt", stdin=b"hello").code == 0
    (tmp_path / "parts").mkdir()
    for name in ("part-0", "part-1"):
        (tmp_path / "parts" / name).write_text(name)
    assert footfall("data", "put", str(tmp_path / "parts"), "several/all").code == 0
    listed = footfall("data", "ls", "several", "--json").json
    assert [each["key"] for each in listed] == ["all/part-0", "all/part-1", "in.txt"]
    assert footfall("data", "get", "several/in.txt", "-").out == "hello"


def test_get_does_not_overwrite_unasked(footfall: Footfall, tmp_path: Path) -> None:
    footfall("data", "put", "-", "careful/a.txt", stdin=b"new")
    (tmp_path / "a.txt").write_text("old")
    refused = footfall("data", "get", "careful/a.txt", cwd=tmp_path)
    assert (refused.code, (tmp_path / "a.txt").read_text()) == (2, "old")
    assert "--force" in refused.err
    assert footfall("data", "get", "careful/a.txt", "--force", cwd=tmp_path).code == 0
    assert (tmp_path / "a.txt").read_text() == "new"


def test_a_get_that_fails_leaves_no_file(footfall: Footfall, tmp_path: Path) -> None:
    footfall("data", "put", "-", "careful/x", stdin=b"x")
    done = footfall("data", "get", "careful/none", cwd=tmp_path)
    assert done.code == 2
    assert list(tmp_path.iterdir()) == []


def test_rm_removes_one_or_all_below(footfall: Footfall) -> None:
    for key in ("a/1", "a/2", "b"):
        footfall("data", "put", "-", f"removing/{key}", stdin=b"x")
    assert footfall("data", "rm", "removing/b").out == "removed removing/b\n"
    assert footfall("data", "rm", "removing/a/", "-r", "--json").json == {"removed": ["removing/a/1", "removing/a/2"]}
    assert footfall("data", "ls", "removing", "--json").json == []


def test_rm_of_what_is_not_there_says_so_and_removes_nothing(footfall: Footfall) -> None:
    footfall("data", "put", "-", "kept/a/1", stdin=b"x")
    for options in ((), ("--json",)):
        done = footfall("data", "rm", "kept/a/1", "kept/a/2", *options)
        assert (done.code, done.out) == (2, "")
        assert "There is no object kept/a/2" in done.err
    assert footfall("data", "rm", "kept/a").code == 2, "a/1 begins with it, but is another object"
    assert "There is nothing at kept/b" in footfall("data", "rm", "-r", "kept/b").err
    assert "add -r" in footfall("data", "rm", "kept/a/").err
    assert [each["key"] for each in footfall("data", "ls", "kept", "--json").json] == ["a/1"]


def test_a_bucket_that_is_not_there_is_named(footfall: Footfall) -> None:
    for arguments in (("ls", "no-such-bucket"), ("rm", "no-such-bucket/x"), ("get", "no-such-bucket/x")):
        done = footfall("data", *arguments)
        assert (done.code, "no-such-bucket" in done.err) == (2, True)


def test_put_looks_at_every_name_before_it_sends_the_first(footfall: Footfall, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    for name in ("a.csv", "z of may.csv"):
        (tmp_path / "parts" / name).write_text("x")
    done = footfall("data", "put", str(tmp_path / "parts"), "unsent/all")
    assert done.code == 2
    assert str(tmp_path / "parts" / "z of may.csv") in done.err
    assert "' ' at position" in done.err
    assert footfall("data", "ls", "unsent").code == 2, "the bucket was not made"
    assert "no bucket name" in footfall("data", "put", str(tmp_path / "parts" / "a.csv"), "Not_A_Bucket/").err


def test_put_names_the_file_that_the_service_refuses(footfall: Footfall, tmp_path: Path) -> None:
    other_account = footfall("account", "create", "put-elsewhere", "--json").json
    footfall("data", "put", "-", "taken-name/x", stdin=b"x")
    (tmp_path / "a.csv").write_text("x")
    keys = {"FOOTFALL_ACCESS_KEY": other_account["access_key"], "FOOTFALL_SECRET_KEY": other_account["secret_key"]}
    done = footfall("data", "put", str(tmp_path / "a.csv"), "taken-name/", **keys)
    assert done.code == 2
    assert f"{tmp_path / 'a.csv'} is not at taken-name/a.csv: " in done.err


def test_json_on_stdout_is_alone_there(footfall: Footfall) -> None:
    other_account = footfall("account", "create", "json-alone", "--json").json
    keys = {"FOOTFALL_ACCESS_KEY": other_account["access_key"], "FOOTFALL_SECRET_KEY": other_account["secret_key"]}
    assert footfall("feature", "list", "--json", **keys).json == []
    assert footfall("--json", "task", "list", **keys).json == []


def test_a_missing_object_is_exit_code_2_with_the_code_of_the_service(footfall: Footfall) -> None:
    footfall("data", "put", "-", "missing/there", stdin=b"x")
    done = footfall("feature", "create", "none", "missing/not-there")
    assert done.code == 2
    assert "10106 PATH_NOT_FOUND" in done.err
    assert done.out == ""


def test_an_unknown_name_is_exit_code_2_and_says_what_to_do(footfall: Footfall) -> None:
    done = footfall("task-run", "show", "nothing of this name")
    assert done.code == 2
    assert "list them" in done.err


def test_a_wrong_option_is_exit_code_2_and_names_the_help(footfall: Footfall) -> None:
    done = footfall("feature", "list", "--colour")
    assert done.code == 2
    assert "footfall feature list --help" in done.err


def test_no_server_is_exit_code_3(footfall: Footfall) -> None:
    done = footfall("feature", "list", FOOTFALL_ENDPOINT="http://127.0.0.1:9", FOOTFALL_ACCESS_KEY="a", FOOTFALL_SECRET_KEY="b")
    assert done.code == 3
    assert "footfall up" in done.err


def test_no_keys_is_exit_code_2(footfall: Footfall, tmp_path: Path) -> None:
    done = footfall("feature", "list", "--home", str(tmp_path))
    assert done.code == 2
    assert "no keys were found" in done.err


def test_wrong_keys_say_which_and_from_where(footfall: Footfall) -> None:
    done = footfall("feature", "list", FOOTFALL_ACCESS_KEY="mistyped", FOOTFALL_SECRET_KEY="b")
    assert done.code == 2
    assert "mistyped comes from the variables FOOTFALL_ACCESS_KEY and FOOTFALL_SECRET_KEY" in done.err


def test_a_run_that_fails_is_exit_code_1_and_shows_its_log(footfall: Footfall) -> None:
    footfall("data", "put", "-", "failing/empty.csv", stdin=b"no tab in this line\n")
    done = footfall("feature", "create", "it fails", "failing/empty.csv", "--wait", "--json")
    assert done.code == 1
    assert done.json["status"] == "failed"
    assert done.json["fail_message"] in done.err
    assert "footfall logs feature" in done.err
    assert footfall("feature", "wait", "it fails").code == 1
    assert footfall("logs", "feature", "it fails").code == 0
    assert footfall("feature", "delete", "it fails").code == 0
    assert footfall("feature", "show", "it fails").code == 2


def test_a_lost_key_is_recovered_from_the_servers_files(tmp_path: Path, footfall: Footfall) -> None:
    with live_server(tmp_path / "home") as own:
        file = own.home / "credentials.toml"
        before = file.read_text()
        file.write_text("".join(line for line in before.splitlines(True) if line.startswith("endpoint")))
        assert "key recover" in footfall("key", "list", "--home", str(own.home)).err
        done = footfall("key", "recover", "--home", str(own.home))
        assert (done.code, str(file) in done.out) == (0, True), done.err
        assert file.read_text().split('secret_key = "')[1].split('"')[0] not in done.out
        assert footfall("key", "list", "--home", str(own.home)).code == 0


def test_what_is_said_of_sealed_secrets_is_english(tmp_path: Path, footfall: Footfall) -> None:
    with live_server(tmp_path / "home") as own:
        assert footfall("key", "rotate-master", "--home", str(own.home)).out.startswith("1 secret is sealed")
        assert footfall("key", "create", "--home", str(own.home)).code == 0
        assert footfall("key", "rotate-master", "--home", str(own.home)).out.startswith("2 secrets are sealed")


def test_users_keys_and_roles(footfall: Footfall) -> None:
    assert footfall("user", "create", "viewer", "--role", "VIEWER").code == 0
    key = footfall("key", "create", "--user", "viewer", "--json").json
    mine = {"FOOTFALL_ACCESS_KEY": key["access_key"], "FOOTFALL_SECRET_KEY": key["secret_key"]}
    assert footfall("feature", "list", **mine).code == 0
    refused = footfall("feature", "create", "x", "b/k", **mine)
    assert (refused.code, "10100 ACCESS_DENIED" in refused.err) == (2, True)
    assert footfall("key", "delete", key["access_key"]).code == 2
    assert footfall("key", "stop", key["access_key"]).code == 0
    assert footfall("feature", "list", **mine).code == 2
    assert footfall("key", "delete", key["access_key"]).code == 0
    assert footfall("user", "role", "viewer", "NONE").code == 0
    assert footfall("user", "delete", "viewer").code == 0


def test_buckets_and_accounts(footfall: Footfall) -> None:
    other = footfall("account", "create", "research", "--json").json
    other_account = {"FOOTFALL_ACCESS_KEY": other["access_key"], "FOOTFALL_SECRET_KEY": other["secret_key"]}
    assert footfall("bucket", "create", "granted").code == 0
    assert footfall("data", "ls", "granted", **other_account).code == 2
    assert footfall("bucket", "grant", "granted", other["account_id"]).code == 0
    assert footfall("data", "ls", "granted", **other_account).code == 0
    assert footfall("bucket", "revoke", "granted", other["account_id"]).code == 0
    assert footfall("data", "ls", "granted", **other_account).code == 2
    assert footfall("bucket", "delete", "granted").code == 0


def test_api_keys(footfall: Footfall) -> None:
    made = footfall("key", "api", "create", "web", "--json").json
    again = footfall("key", "api", "reissue", made["api_key_id"], "--json").json
    assert again["primary_key"] not in (None, made["primary_key"])
    for verb in ("disable", "enable", "delete"):
        assert footfall("key", "api", verb, made["api_key_id"]).code == 0


def test_security_02_lists_of_keys_show_no_secret(footfall: Footfall, server: LiveServer) -> None:
    text = (server.home / "credentials.toml").read_text()
    secret = text.split('secret_key = "')[1].split('"')[0]
    for arguments in (("key", "list"), ("key", "list", "--json"), ("doctor",), ("doctor", "--settings")):
        done = footfall(*arguments)
        assert secret not in done.out + done.err


def test_doctor_finds_nothing_wrong_with_a_server_that_runs(footfall: Footfall) -> None:
    states = {each["check"]: each["state"] for each in footfall("doctor", "--json").json}
    assert states["server"] == states["signature"] == states["home"] == "ok"


def test_doctor_says_what_to_do_about_a_file_that_others_can_read(footfall: Footfall, tmp_path: Path) -> None:
    file = tmp_path / "credentials.toml"
    file.write_text('endpoint = "http://127.0.0.1:9"\naccess_key = "a"\nsecret_key = "b"\n')
    file.chmod(0o644)
    done = footfall("doctor", "--home", str(tmp_path))
    assert done.code == 1
    assert f"chmod 600 {file}" in done.out
    assert "footfall up" in done.out


def test_doctor_names_a_setting_that_is_none(footfall: Footfall, tmp_path: Path) -> None:
    (tmp_path / "footfall.toml").write_text("colour = 3\n")
    done = footfall("doctor", "--home", str(tmp_path))
    assert done.code == 1
    assert "colour" in done.out


def test_the_variables_of_clients_are_no_wrong_settings(footfall: Footfall, tmp_path: Path) -> None:
    names = ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY", "API_KEY", "CA_FILE")
    variables = {f"FOOTFALL_{name}": "http://127.0.0.1:9" for name in names}
    states = {each["check"]: each for each in footfall("doctor", "--home", str(tmp_path), "--json", **variables).json}
    assert states["settings"]["state"] == "ok", states["settings"]


def test_doctor_warns_where_several_accounts_share_a_network_and_where_a_metadata_service_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from footfall.cli import doctor
    from footfall.config import load_settings
    from footfall.machine.engines import Engines
    from footfall.machine.isolation import Isolation
    from service import open_service

    def found(no_way_out: str, **settings: object) -> dict[str, tuple[str, str]]:
        isolation = Isolation("bubblewrap", "", 65_534, Engines({}, []), True, False, no_way_out=no_way_out)
        findings = doctor._network(load_settings(tmp_path, {}, **settings), isolation)
        return {each.check: (each.state, each.found + each.advice) for each in findings}

    monkeypatch.setattr(doctor, "METADATA", ("127.0.0.1",))  # port 80 of it: nothing listens there in a test
    assert found("no slirp4netns.")["network of runs"][0] == "ok", "there is no database yet"
    with open_service(tmp_path) as service:
        service.account("other")
        state, text = found("no slirp4netns.")["network of runs"]
        assert (state, "reach the ports of all others" in text, "no slirp4netns" in text) == ("warn", True, True)
        assert found("no slirp4netns.")["metadata service"][0] == "ok"
        assert found("") == {"network of runs": ("ok", "one of its own, with a way out; 2 accounts")}
        monkeypatch.setattr(doctor, "_answers", lambda address: address == "127.0.0.1")
        state, text = found("no slirp4netns.", run_network="host")["metadata service"]
        assert (state, "answers at 127.0.0.1" in text) == ("warn", True)


def test_doctor_lists_every_setting(footfall: Footfall) -> None:
    names = {each["name"] for each in footfall("doctor", "--settings", "--json").json}
    assert {"port", "store_url", "behavior_memory_mib"} <= names


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_of_the_shell(footfall: Footfall, shell: str) -> None:
    done = footfall("completion", shell)
    assert done.code == 0
    assert "_FOOTFALL_COMPLETE" in done.out


def test_completion_completes(footfall: Footfall) -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "footfall"],
        env=clean_environment(_FOOTFALL_COMPLETE="bash_complete", COMP_WORDS="footfall task-", COMP_CWORD="1"),
        capture_output=True,
        timeout=30,
    )
    assert b"task-run" in done.stdout


def test_output_into_a_closed_pipe_is_no_error(footfall: Footfall, server: LiveServer) -> None:
    command = f"{sys.executable} -m footfall doctor --settings --json | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], env=clean_environment(FOOTFALL_HOME=str(server.home)), capture_output=True, timeout=60
    )
    assert done.stderr == b""


def test_an_event_log_becomes_a_feature_by_declared_columns(footfall: Footfall) -> None:
    days = "".join(f"c{n},2025-03-{1 + n % 27:02},buy cup,{n}\n" for n in range(40))
    footfall("data", "put", "-", "logs/log.csv", stdin=f"who,when,what,paid\n{days}".encode())
    options = ["--user-id", "who", "--timestamp", "when", "--behavior", "what", "--numeric", "paid"]
    done = footfall("encoder", "fit", "of a log", "logs/log.csv", *options, "--observed-until", "2025-03-20", "--wait", "--json")
    assert done.code == 0, done.err
    assert done.json["columns"] == {"user_id": "who", "timestamp": "when", "behavior": ["what"], "numeric": ["paid"]}
    assert (done.json["user_count"], done.json["observed_until"]) == (33, "2025-03-20T00:00:00+00:00")
    assert "7 events after observed_until were left out" in footfall("logs", "feature", "of a log").out
    assert footfall("encoder", "show", "of a log").code == 0
    assert footfall("feature", "create", "x", "logs/log.csv", "--format", "xlsx").code == 2
    refused = footfall("feature", "create", "x", "logs/log.csv", "--observed-until", "soon")
    assert (refused.code, "ISO 8601" in refused.err) == (2, True)
