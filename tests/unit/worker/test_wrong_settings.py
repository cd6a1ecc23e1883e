"""What is wrong with the settings is told in the words of those who set them, all at once, by `doctor` and by the worker alike."""

import pytest

from tests.support.in_process import run_in_process
from worker.cli import main
from worker.core.base.misspelt import misspelt

CONFIG = 78
SECRET = "p4ss"
SQS = "https://sqs.eu-central-1.amazonaws.com/123456789012"
SOUND = {
    "SQS_QUEUE_URL": f"{SQS}/files", "DLQ_QUEUE_URL": f"{SQS}/files-dlq", "AWS_REGION": "eu-central-1", "S3_BUCKET": "our-files",
    "STATE_BUCKET": "our-state", "INDEX_URL": "https://search.example:9200", "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true",
}  # fmt: skip
SETTINGS: list[tuple[dict[str, str | None], str]] = [
    ({"SQS_QUEUE_URL": None}, "SQS_QUEUE_URL is missing: URL of the queue that S3 notifies."),
    ({"SQS_QUEUE_URL": "files"}, "(aws sqs get-queue-url --queue-name files)"),
    ({"SQS_QUEUE_URL": "arn:aws:sqs:eu-central-1:123456789012:files"}, f"it should be its URL: {SQS}/files"),
    ({"DLQ_QUEUE_URL": f"{SQS}/files-dlq/"}, "ends with a slash"),
    ({"SQS_QUEUE_URL": f'"{SQS}/files"'}, "has quotation marks around it"),
    ({"SQS_QUEUE_URL": f"{SQS}/files\r"}, "line ends of Windows"),
    ({"SQS_QUEUE_URL": f"{SQS}/files.fifo"}, "is a FIFO queue, which S3 cannot notify; it should be a standard queue"),
    ({"SQS_QUEUE_URL": f"{SQS}/one", "DLQ_QUEUE_URL": f"{SQS}/one"}, "are the same queue"),
    ({"SQS_QUEUE_URL": f"https://me:{SECRET}@sqs.example/1/files"}, "SQS_QUEUE_URL=(hidden): has a user or password in it"),
    ({"STATE_BUCKET": None, "STATE_BUKET": "state"}, "STATE_BUKET is not a setting; STATE_BUCKET is: did you mean that?"),
    ({"STATE_BUCKET": None, "S3_BUCKET": None}, "STATE_BUCKET is missing: the bucket of retry-index/"),
    ({"STATE_BUCKET": "our-files", "S3_BUCKET": "our-files"}, "STATE_BUCKET=our-files is the bucket of the files"),
    ({"STATE_BUCKET": "Our-State"}, "should be 3 to 63 of a-z, 0-9, '.' and '-', without s3:// (our-state?)"),
    ({"STATE_BUCKET": "arn:aws:s3:::our-state"}, "without s3:// (our-state?)"),
    ({"S3_BUCKET": "s3://our-files/scans/"}, "without s3:// (our-files?)"),
    ({"S3_BUCKET": "https://our-files.s3.eu-central-1.amazonaws.com"}, "without s3:// (our-files?)"),
    ({"INDEX_URL": "search.example:9200"}, "INDEX_URL='search.example:9200': is not the URL of an index; it should be https://HOST[:PORT]"),
    ({"INDEX_URL": f"me:{SECRET}"}, "INDEX_URL=(hidden): is not the URL"),
    ({"INDEX_URL": f"https://me:{SECRET}#x@search:9200"}, "percent-encode these characters"),
    ({"INDEX_URL": f"https://me:{SECRET}/x@search:9200"}, "percent-encode these characters"),
    ({"INDEX_URL": f"https://me:{SECRET}?x@search:9200"}, "percent-encode these characters"),
    ({"INDEX_URL": f"'https://me:{SECRET}@search:9200'"}, "INDEX_URL=(hidden): has quotation marks around it"),
    ({"INDEX_URL": "https://one:9200", "OPENSEARCH_ENDPOINT": f"https://me:{SECRET}@two:9200"}, "two names of one setting"),
    ({"INDEX_USER": "app"}, "INDEX_USER is set, but INDEX_PASSWORD is missing"),
    ({"INDEX_USER": "app", "INDEX_PASWORD": SECRET}, "INDEX_PASWORD is not a setting; INDEX_PASSWORD is"),
    ({"INDEX_PASSWORD": SECRET}, "INDEX_PASSWORD is set, but INDEX_USER is missing"),
    ({"INDEX_URL": "https://app@search:9200"}, "INDEX_URL has a user without a password"),
    ({"INDEX_USER": "app", "INDEX_PASSWORD": f"{SECRET}\r"}, "INDEX_PASSWORD=(hidden): ends with a line end"),
    ({"INDEX_AUTH": "Basic"}, "INDEX_AUTH='Basic': it should be auto, none, basic, es or aoss"),
    ({"INDEX_AUTH": "basic"}, "INDEX_AUTH is basic, but INDEX_USER or INDEX_PASSWORD is missing"),
    ({"INDEX_URL": "https://search:9200", "INDEX_CA_FILE": "/no/ca.pem"}, "INDEX_CA_FILE=/no/ca.pem"),
    ({"INDEX_VERIFY_TLS": "nope"}, "INDEX_VERIFY_TLS='nope': it should be yes or no"),
    ({"OPENSEARCH_INDEX": "Files"}, "OPENSEARCH_INDEX='Files': is not an index name"),
    ({"SQS_VISIBILITY_TIMEOUT": "10m"}, "it should be seconds, a whole number from 30 to 43,200; 10m is 600"),
    ({"MAX_OBJECT_BYTES": "100MB"}, "it should be bytes, a whole number from 0 to 5,497,558,138,880; 100MB is 104857600"),
    ({"WORKER_CONCURRENCY": "-1"}, "WORKER_CONCURRENCY='-1': it should be a whole number from 1 to 256"),
    ({"INDEX_PROBE_S": "0"}, "it should be seconds, a number above 0 and up to 300"),
    ({"METRICS_PORT": "70000"}, "it should be a whole number from 0 to 65,535"),
    ({"LONG_POLL_S": "20", "SHUTDOWN_TIMEOUT_S": "15"}, "SHUTDOWN_TIMEOUT_S must exceed LONG_POLL_S"),
    ({"AWS_REGION": "EU-Central-1"}, "AWS_REGION='EU-Central-1': is not a region; it should be eu-central-1"),
    ({"AWS_REGION": "eu-central-1a"}, "is an availability zone; it should be its region, eu-central-1"),
    ({"AWS_REGION": None, "SQS_QUEUE_URL": "http://sqs/1/files"}, "AWS_REGION is missing: the region of queue, buckets and index"),
    ({"AWS_REGION": None, "SQS_QUEUE_URL": None}, "AWS_REGION is missing: the region of queue, buckets and index"),
    ({"AWS_REGION": None, "AWS_REGOIN": "x", "SQS_QUEUE_URL": "http://sqs/1/files"}, "AWS_REGOIN is not a setting; AWS_REGION is"),
    ({"LOG_LEVEL": "INFO"}, "it should be debug, info, warning or error"),
    ({"AWS_SECRET_ACCESS_KEY": None}, "Partial credentials found in env, missing: AWS_SECRET_ACCESS_KEY"),
    ({"AWS_ENDPOINT_URL_SQS": "localhost:9324"}, "AWS_ENDPOINT_URL_SQS"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "says"), SETTINGS, ids=[" ".join(given) for given, _ in SETTINGS])
@pytest.mark.parametrize("command", ["doctor", "run"])
def test_a_wrong_setting_is_refused_by_doctor_and_by_the_worker(given, says, command):
    env = {name: value for name, value in (SOUND | given).items() if value is not None}
    done = run_in_process(main, env, command)
    assert (done.returncode, done.stdout) == (CONFIG, "")
    assert done.stderr.startswith("configuration: ")
    assert says in done.stderr
    assert SECRET not in done.stderr
    assert "Traceback" not in done.stderr


def test_all_that_is_wrong_with_the_settings_is_told_at_once():
    wrong: dict[str, str] = {
        "SQS_QUEUE_URL": "files", "METRICS_PORT": "x", "S3_BUCKET": "s3://f", "STATE_BUCKET": "", "INDEX_USER": "app",
        "LONG_POLL_S": "20", "SHUTDOWN_TIMEOUT_S": "5", "WORKER_CONCURENCY": "3", "DLQ_QUEUE_URL": f"{SQS}/d.fifo",
    }  # fmt: skip
    said = run_in_process(main, SOUND | wrong, "doctor").stderr
    for name in ("SQS_QUEUE_URL='files'", "METRICS_PORT='x'", "S3_BUCKET='s3://f'", "STATE_BUCKET is missing", "INDEX_USER is set",
                 "SHUTDOWN_TIMEOUT_S must", "WORKER_CONCURENCY is not a setting", "d.fifo is a FIFO queue"):  # fmt: skip
        assert said.count(name) == 1, name


def test_a_region_may_come_from_the_profile_or_from_the_urls_of_the_queues(tmp_path):
    """boto3 reads the one, and our clients the other."""
    (tmp_path / "config").write_text("[profile ours]\nregion = eu-central-1\n")
    of_profile = {
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_PROFILE": "ours",
        "SQS_QUEUE_URL": "http://sqs/1/files",
    }
    for given in (of_profile, {}):
        env = {name: value for name, value in SOUND.items() if name != "AWS_REGION"}
        said = run_in_process(main, env | given | {"METRICS_PORT": "x"}, "doctor").stderr
        assert said.splitlines() == ["configuration: METRICS_PORT='x': it should be a whole number from 0 to 65,535"]


@pytest.mark.parametrize(
    "name",
    [
        "AWS_DEFAULT_PROFILE",
        "AWS_ENDPOINT_URL_STS",
        "AWS_ACCOUNT_ID",
        "STATE_DIRECTORY",
        "OPENSEARCH_JAVA_HOME",
        "PATH",
        "LOGNAME",
        "INVOCATION_ID",
        "DLQ_URL",
        "LANG",
    ],
)
def test_names_of_other_software_are_not_taken_for_misspelt_settings(name):
    assert misspelt([name], set(SOUND) | {"LOG_LEVEL", "TEMP_DIR", "DLQ_QUEUE_URL"}) == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [("STATE_BUKET", "STATE_BUCKET"), ("SQS_QEUE_URL", "SQS_QUEUE_URL"), ("state_buckett", "STATE_BUCKET"),
     ("QUEUE_URL", "SQS_QUEUE_URL"), ("AWS_REGOIN", "AWS_REGION"), ("AWS_REGON", "AWS_REGION"),
     ("AWS_ENDPONT_URL", "AWS_ENDPOINT_URL"),
     ("AWS_PROFIL", "AWS_PROFILE"),
     ("SQS_URL", "SQS_QUEUE_URL"), ("OPENSEARCH_PASSWORD", "INDEX_PASSWORD"), ("export STATE_BUCKET", "STATE_BUCKET"),
     ("WORKER_FROBNICATE", "docs/reference/settings.md")],
)  # fmt: skip
def test_a_misspelt_setting_is_told_with_the_nearest_right_one(name, meant):
    [said] = misspelt([name, "STATE_BUCKET"], {"STATE_BUCKET", "SQS_QUEUE_URL", "INDEX_PASSWORD", "WORKER_CONCURRENCY"})
    assert said.startswith(f"{name} is not a setting")
    assert meant in said
