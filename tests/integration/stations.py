"""Two stations of frames beside the shared gateway's guest, for the conformance modules: each names their addresses as STATIONS."""
import pytest
from conftest import KernelGateway
from packets import Station


@pytest.fixture(scope="module")
def station(gateway, request):
    one = Station(gateway.guest, request.module.STATIONS[0])
    yield one
    one.close()


@pytest.fixture(scope="module")
def other(gateway, request):
    one = Station(gateway.guest, request.module.STATIONS[1])
    yield one
    one.close()


@pytest.fixture(autouse=True)
def clean(station, other):
    station.forget()
    other.forget()


@pytest.fixture
def natlock(gateway):
    """For what kernel NAT does not promise."""
    if isinstance(gateway, KernelGateway):
        pytest.skip("not a statement about kernel NAT")
    return gateway
