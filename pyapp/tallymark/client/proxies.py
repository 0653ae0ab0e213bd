"""The way to the server that the environment prescribes: proxies and certificates, as `requests` reads them.

A server on this machine (localhost, 127.0.0.1, ::1) is never asked through a proxy.
"""

import ipaddress
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import urllib3
from urllib3.exceptions import LocationParseError
from urllib3.util import Url, make_headers, parse_url

from tallymark.client.log import log as _log

_CURE = "name the server in NO_PROXY, or give the client proxy='' for none"


def proxy_for(server: Url, proxy: str | None) -> Url | None:
    """Return the proxy for a server; None for none. `proxy`: see `ProgressClient`; None asks the environment.

    Raises:
        ValueError: The argument is no address of a proxy. One of the environment is ignored with a warning.
    """
    address = _from_environment(server) if proxy is None else proxy
    if not address:
        return None
    try:
        return _parse(address)
    except ValueError as error:
        if proxy is not None:
            raise
        _log.warning("the proxy of the environment is not used: %s; %s", error, _CURE)
        return None


def make_pool(proxy: Url | None, **options: Any) -> urllib3.PoolManager:  # noqa: ANN401 - as urllib3 has them
    """Return what makes connections to the server, directly or through a proxy."""
    if proxy is None:
        return urllib3.PoolManager(**options)
    if str(proxy.scheme).startswith("socks"):
        from urllib3.contrib.socks import SOCKSProxyManager

        return SOCKSProxyManager(proxy.url, **options)
    auth = proxy.auth_decoded_joined
    return urllib3.ProxyManager(
        proxy._replace(auth=None).url,
        proxy_headers=make_headers(proxy_basic_auth=auth) if auth else None,
        **options,
    )


def certificates() -> dict[str, str]:
    """Return the certificates that REQUESTS_CA_BUNDLE names, as urllib3 takes them. OpenSSL obeys SSL_CERT_FILE."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if place := os.environ.get(name):
            if Path(place).is_dir():
                return {"ca_cert_dir": place}
            if Path(place).is_file():
                return {"ca_certs": place}
            _log.warning("%s names %s, which is not there: the system's certificates are trusted", name, place)
    return {}


def _parse(address: str) -> Url:
    try:
        proxy = parse_url(address if "://" in address else f"http://{address}")
    except LocationParseError:
        raise ValueError("it is no address such as http://proxy:3128") from None
    if proxy.scheme in {"http", "https"} and proxy.host:
        return proxy
    if proxy.scheme in {"socks4", "socks4a", "socks5", "socks5h"} and proxy.host:
        try:
            import_module("socks")
        except ImportError:
            raise ValueError(
                f"{proxy.scheme}://{proxy.host} needs the package PySocks, which is not installed"
            ) from None
        return proxy
    raise ValueError(f"{proxy.scheme}://{proxy.host} is no address such as http://proxy:3128")


def _from_environment(server: Url) -> str | None:
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    # Imported only when needed: it takes as long as all else that the client imports.
    from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

    proxies = getproxies_environment()
    host = str(server.host).strip("[]")
    if _is_here(host) or _is_in(host, proxies.get("no", "")) or proxy_bypass_environment(str(server.netloc), proxies):
        return None
    return proxies.get(str(server.scheme)) or proxies.get("all")


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_in(host: str, networks: str) -> bool:
    """Return whether an address is in one of the networks of NO_PROXY, such as 10.0.0.0/8."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    for network in networks.replace(" ", "").split(","):
        try:
            if "/" in network and address in ipaddress.ip_network(network, strict=False):
                return True
        except ValueError:
            continue
    return False
