# wstest of the Autobahn testsuite (Python 2.7), which would listen on every address, on loopback.

import autobahntestsuite  # Installs the reactor, which must come first.
from twisted.internet import reactor

_tcp, _ssl = reactor.listenTCP, reactor.listenSSL


def _listen_tcp(port, factory, backlog=50, interface=''):
    return _tcp(port, factory, backlog, interface or '127.0.0.1')


def _listen_ssl(port, factory, context, backlog=50, interface=''):
    return _ssl(port, factory, context, backlog, interface or '127.0.0.1')


reactor.listenTCP, reactor.listenSSL = _listen_tcp, _listen_ssl

from autobahntestsuite.wstest import run

run()
