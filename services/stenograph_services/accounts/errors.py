"""What can be wrong with keys, tenants and credentials. Each message says what to do."""

from stenograph_services.runtime.errors import StenographError


class AccountsError(StenographError):
    """Keys, a tenant or a credential are not as the request needs them."""


class UnsafeKeys(AccountsError):
    """A file with a key can be read by others than its owner."""


class UnknownTenant(AccountsError):
    """No account of this name was made here."""

    def __init__(self, tenant: str) -> None:
        super().__init__(f"there is no tenant {tenant!r}: `stenograph tenants create {tenant}` makes it")
        self.tenant = tenant


class NotInForce(AccountsError):
    """The server did not take a change that is written down here."""
