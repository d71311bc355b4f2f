"""The signature, with botocore's own signer as the oracle."""

import datetime as dt
from urllib.parse import quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SdkCredentials
from hypothesis import given
from hypothesis import strategies as st

from outboard.aws.signing import Credentials, sign, target

NOW = 1_700_000_000.0
STAMP = dt.datetime.fromtimestamp(NOW, dt.UTC).strftime("%Y%m%dT%H%M%SZ")
KEYS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=20)
hosts = st.sampled_from(
    ["sqs.eu-west-1.amazonaws.com", "127.0.0.1:4566", "Gate.Example:8443", "h:443", "h:80", "[::1]:9000"]
)
segments = st.one_of(texts.map(lambda text: quote(text, safe="")), st.sampled_from([".", "..", "", "a:b", "~x"]))
queries = st.lists(st.tuples(texts, texts), max_size=3).map(
    lambda pairs: "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
)
headers = st.dictionaries(
    st.from_regex(r"x-amz-[a-z][a-z0-9-]{0,9}", fullmatch=True).filter(
        lambda name: name not in {"x-amz-date", "x-amz-content-sha256", "x-amz-security-token"}
    ),
    texts,
    max_size=4,
)


class _OracleAtNow(SigV4Auth):
    """botocore's signer with its clock stopped: this is `add_auth` without reading the time."""

    def add_auth(self, request):
        request.context["timestamp"] = STAMP
        self._modify_request_before_signing(request)
        string = self.string_to_sign(request, self.canonical_request(request))
        self._inject_signature_to_request(request, self.signature(string, request))


def _expected(url, given, body, keys, region="eu-west-1", service="lambda"):
    request = AWSRequest("POST", url, headers=given, data=body)
    _OracleAtNow(SdkCredentials(keys.access_key, keys.secret_key, keys.token), service, region).add_auth(request)
    return request.headers["Authorization"]


@given(
    scheme=st.sampled_from(["http", "https"]),
    host=hosts,
    path=st.lists(segments, max_size=5).map(lambda parts: "/" + "/".join(parts)),
    query=queries,
    given=headers,
    body=st.binary(max_size=200),
    token=st.one_of(st.none(), st.text("abcXYZ0189+/=", min_size=1, max_size=40)),
)
def test_the_signature_is_botocores(scheme, host, path, query, given, body, token):
    url = f"{scheme}://{host}{path}" + (f"?{query}" if query else "")
    keys = Credentials(KEYS.access_key, KEYS.secret_key, token)

    signed = sign(target(url, "eu-west-1", "lambda"), given, body, keys, NOW)

    assert signed["authorization"] == _expected(url, given, body, keys)


def test_an_escaped_arn_is_escaped_once_more_for_the_signature():
    at = target("https://h/2015-03-31/functions/arn%3Aaws%3Alambda/invocations?Qualifier=%24LATEST", "r", "lambda")

    assert at.head == "POST\n/2015-03-31/functions/arn%253Aaws%253Alambda/invocations\nQualifier=%24LATEST\n"


def test_the_day_key_follows_the_secret_the_day_the_region_and_the_service():
    def authorization(url="https://h/", region="r1", service="sqs", keys=KEYS, now=NOW):
        return sign(target(url, region, service), {}, b"", keys, now)["authorization"]

    other = Credentials(KEYS.access_key, "another secret")
    signatures = {
        authorization(),
        authorization(region="r2"),
        authorization(service="kinesis"),
        authorization(keys=other),
        authorization(now=NOW + 86_400),
    }

    assert len(signatures) == 5


def test_the_headers_to_send_carry_host_date_and_token_and_keep_those_given():
    keys = Credentials("AK", "secret", "token")

    signed = sign(target("http://Gate:8080/x", "r", "sqs"), {"x-amz-target": "AmazonSQS.A"}, b"{}", keys, NOW)

    del signed["authorization"]
    assert signed == {
        "x-amz-target": "AmazonSQS.A",
        "host": "gate:8080",
        "x-amz-date": STAMP,
        "x-amz-security-token": "token",
    }


def test_credentials_do_not_show_their_secrets():
    assert repr(Credentials("AK", "hush", "quiet")) == "Credentials(access_key='AK')"
