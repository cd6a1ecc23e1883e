"""Who may ask the manager, as its settings say."""

from recovery.ledger.ledger import Ledger
from recovery.manager.addresses import network
from recovery.manager.settings import ManagerSettings
from recovery.manager.web.provider import Client, Provider
from recovery.manager.web.rates import Rates
from recovery.manager.web.sessions import Sessions
from recovery.manager.web.sign_in import Mode, Oidc, Proxy, SignIn
from recovery.manager.web.token_sessions import TokenSessions


def sign_in_of(settings: ManagerSettings, ledger: Ledger, *, by: str) -> SignIn:
    """The sign-in of a manager; the settings are complete, as they were checked. `by`: who asks where nobody is asked."""
    mode = Mode(settings.manager_auth)
    rates = Rates(settings.manager_requests_per_minute)
    oidc = _oidc(settings, ledger) if mode is Mode.OIDC else None
    proxy = _proxy(settings) if mode is Mode.PROXY else None
    token_sessions = TokenSessions(ledger.ended_sessions) if mode is Mode.TOKEN else None
    return SignIn(by, mode, ledger.tokens, settings.roles, proxy, oidc, token_sessions, rates=rates)


def check_provider(settings: ManagerSettings) -> None:
    """Ask the OpenID provider that the settings name. Raises DependencyError if it cannot be used."""
    _provider(settings).check()


def _proxy(settings: ManagerSettings) -> Proxy:
    trusted = tuple(map(network, settings.proxy_trusted))
    return Proxy(settings.proxy_user_header or "", settings.proxy_role_header or "", trusted)


def _provider(settings: ManagerSettings) -> Provider:
    back = f"{settings.base_url or ''}/auth/callback"
    secret, scopes = _client_secret(settings), settings.oidc_scopes
    return Provider(Client(settings.oidc_issuer or "", settings.oidc_client_id or "", secret, scopes, back))


def _oidc(settings: ManagerSettings, ledger: Ledger) -> Oidc:
    name_claim, roles_claim = settings.oidc_name_claim, settings.oidc_roles_claim
    roles = [(role, sorted(values)) for role, values in settings.roles.items()]
    by = repr((settings.oidc_issuer or "", settings.oidc_client_id or "", name_claim, roles_claim, roles))
    sessions = Sessions(_client_secret(settings), ledger.ended_sessions, by)
    return Oidc(_provider(settings), sessions, name_claim, roles_claim)


def _client_secret(settings: ManagerSettings) -> str:
    return settings.oidc_client_secret.get_secret_value() if settings.oidc_client_secret else ""
