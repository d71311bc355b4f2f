"""Where a reference to a secret leads, and what is said where it leads nowhere."""

import json
import traceback

import pytest

from outboard.aws.asking import SdkCalls
from outboard.aws.calls import CallFailed, Refused
from outboard.aws.sdk import Sdk
from outboard.aws.secrets import certificate_in, read_secret, secret_manager
from tests.unit.aws.wire import answer, wire

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:kafka-ca-AbCdEf"
SECRET = "hunter2-and-much-more"
PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"


async def nowhere(arn):
    raise AssertionError("Secrets Manager is not to be asked")


async def failure(reference, manager=nowhere, environ=None):
    """The sentence of the failure; nothing of the secret may be in it or behind it."""
    with pytest.raises(CallFailed) as caught:
        await read_secret(reference, manager, environ or {})
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert reference in str(caught.value)
    return caught.value.code, str(caught.value).removeprefix(f"the secret {reference} cannot be used: ")


async def test_a_json_file_gives_its_names_and_values(tmp_path):
    (tmp_path / "login.json").write_text('\n{"username": "bob", "password": "p\\u00e4ss", "seconds": 60}\n')

    found = await read_secret(f"file://{tmp_path}/login.json", nowhere)

    assert found == {"username": "bob", "password": "p\u00e4ss", "seconds": "60"}


async def test_any_other_file_is_its_text(tmp_path):
    (tmp_path / "ca.pem").write_bytes(b"\xef\xbb\xbf" + f"{PEM}\n".encode())

    assert await read_secret(f"file://{tmp_path}/ca.pem", nowhere) == PEM


async def test_a_folder_gives_a_value_for_each_file_as_kubernetes_mounts_it(tmp_path):
    data = tmp_path / "..2025_01_31"
    data.mkdir()
    for name, text in {"username": "bob\n", "certificate": PEM}.items():
        (data / name).write_text(text)
        (tmp_path / name).symlink_to(data / name)
    (tmp_path / "..data").symlink_to(data)
    (tmp_path / "folder").mkdir()

    assert await read_secret(f"file://{tmp_path}", nowhere) == {"username": "bob", "certificate": PEM}


async def test_a_file_is_read_anew_each_time(tmp_path):
    reference = f"file://{tmp_path}/it"
    found = []
    for text in ("one", "two"):
        (tmp_path / "it").write_text(text)
        found.append(await read_secret(reference, nowhere))

    assert found == ["one", "two"]


async def test_the_environment_gives_text_or_json():
    environ = {"CA": PEM, "LOGIN": '{"username": "bob"}'}

    found = [await read_secret(f"env:{name}", nowhere, environ) for name in ("CA", "LOGIN")]

    assert found == [PEM, {"username": "bob"}]


@pytest.mark.parametrize("said", [json.dumps({"certificate": PEM}), json.dumps({"certificate": PEM}).encode()])
async def test_secrets_manager_gives_text_or_bytes(said):
    async def manager(arn):
        assert arn == ARN
        return said

    assert await read_secret(ARN, manager) == {"certificate": PEM}


async def test_a_file_that_is_not_there(tmp_path):
    assert await failure(f"file://{tmp_path}/none") == (
        "BadSecret",
        "No such file or directory; mount it where the process can read it, or correct the reference",
    )


async def test_a_file_that_cannot_be_opened(tmp_path):
    (tmp_path / "it").symlink_to(tmp_path / "it")  # root may read everything else

    code, sentence = await failure(f"file://{tmp_path}/it")

    assert (code, sentence.split(";")[0]) == ("BadSecret", "Too many levels of symbolic links")


async def test_an_empty_folder(tmp_path):
    assert await failure(f"file://{tmp_path}") == (
        "BadSecret",
        "the folder holds no files; put one file for each key into it",
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b" \n", "it is empty; give it a value"),
        (b"\xff" + SECRET.encode(), "it is not text; write it as PEM or JSON, in UTF-8"),
        (f'{{"password": {SECRET}'.encode(), "it begins like JSON, and is none; write it as one JSON object"),
        (b'{"a":' * 99_999, "it begins like JSON, and is none; write it as one JSON object"),
        (
            f'{{"password": ["{SECRET}"]}}'.encode(),
            "it holds other values than text and numbers; write every value in quotes",
        ),
        (b'{"tls": true}', "it holds other values than text and numbers; write every value in quotes"),
        (b'{"password": null}', "it holds other values than text and numbers; write every value in quotes"),
        (b"x" * 1_048_577, "it is larger than 1 MiB; correct the reference"),
    ],
)
async def test_a_content_that_is_no_secret(tmp_path, content, sentence):
    (tmp_path / "it").write_bytes(content)

    assert await failure(f"file://{tmp_path}/it") == ("BadSecret", sentence)


async def test_a_variable_that_is_not_set():
    assert await failure("env:CA") == (
        "BadSecret",
        "the environment has no variable CA; set it, or correct the reference",
    )


async def test_a_secret_of_secrets_manager_that_is_no_json():
    async def manager(arn):
        return f"{{{SECRET}"

    assert await failure(ARN, manager) == (
        "BadSecret",
        "it begins like JSON, and is none; write it as one JSON object",
    )


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("ResourceNotFoundException", "create it, or correct the reference"),
        ("AccessDeniedException", "grant secretsmanager:GetSecretValue on it, and kms:Decrypt on its key"),
        ("DecryptionFailure", "grant kms:Decrypt on its key"),
        ("InvalidRequestException", "restore it if it was deleted"),
        ("InternalServiceError", "see to that, or keep the secret in a file"),
    ],
)
async def test_what_secrets_manager_refuses_keeps_its_code_and_has_its_remedy(code, remedy):
    async def manager(arn):
        raise Refused(400, code, "no.")

    assert await failure(ARN, manager) == (code, f"{code}: no.; {remedy}")


async def test_secrets_manager_is_asked_in_the_region_of_the_arn(keys, monkeypatch):
    body = json.dumps({"ARN": ARN, "SecretString": json.dumps({"certificate": PEM})}).encode()
    async with wire(answer(body=body)) as manager:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", manager.url)

        found = await read_secret(ARN, secret_manager(SdkCalls(Sdk())))

    [request] = manager.requests
    assert found == {"certificate": PEM}
    assert json.loads(request.body) == {"SecretId": ARN}
    assert "/eu-central-1/secretsmanager/" in request.headers["authorization"]


async def test_a_binary_secret_is_read_too(keys, monkeypatch):
    async with wire(answer(body=json.dumps({"ARN": ARN, "SecretBinary": "UEVN"}).encode())) as manager:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", manager.url)

        assert await read_secret(ARN, secret_manager(SdkCalls(Sdk()))) == "PEM"


def test_a_cas_secret_is_its_pem_or_has_it_under_certificate():
    assert [certificate_in(it, "env:CA") for it in (PEM, {"certificate": PEM})] == [PEM, PEM]


def test_a_cas_secret_without_certificate_says_how_to_write_it():
    with pytest.raises(CallFailed) as caught:
        certificate_in({"ca.crt": SECRET}, "file:///etc/kafka")

    assert str(caught.value) == (
        "the secret file:///etc/kafka cannot be used: it has no key certificate;"
        ' write {"certificate": PEM}, or the PEM alone'
    )
