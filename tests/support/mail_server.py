"""A mail server that accepts mail from whoever signs in, or refuses it as it is told."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from testing.ports import free_ports

PASSWORD = "p:ss/w@rd%"
LOGIN = "dlq:p%3Ass%2Fw%40rd%25"


class MailServer:
    """Accepts mail from whoever signs in."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.refuses = False
        [self._port] = free_ports(1)
        self._controller = Controller(
            self, hostname="127.0.0.1", port=self._port, authenticator=self._sign_in, auth_require_tls=False
        )
        self._controller.start()

    @property
    def url(self) -> str:
        return f"mailto://{LOGIN}@127.0.0.1:{self._port}/?from=dlq@example.com&to=ops@example.com&mode=insecure"

    def stop(self) -> None:
        self._controller.stop()

    def _sign_in(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"dlq", PASSWORD.encode()), handled=False)

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        assert session.authenticated
        if self.refuses:
            return "451 try again later"
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        self.recipients.append(envelope.rcpt_tos)
        return "250 ok"
