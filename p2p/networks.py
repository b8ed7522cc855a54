"""The public Ethereum networks: the facts that a node needs to find the others of its chain.

:data:`MAINNET`, :data:`SEPOLIA` and :data:`HOODI` are :class:`Network` values: identity, forks,
bootstrap nodes and node lists in DNS. A server of the main network, which dials its nodes only, and
one of a network of the program::

    server = p2p.Server(..., network=p2p.networks.MAINNET)

    own = p2p.networks.Network(
        "devnet", 1337, p2p.eth.Chain(genesis_hash, fork_times=[1_790_000_000]), ["enode://..."]
    )
    server = p2p.Server(..., network=own)

The facts are those of go-ethereum at commit 02b73d4ea718 of 2026-08-20: ``params/config.go`` (forks
and genesis hashes, as of 2026-08-11), ``core/genesis.go`` (times of genesis blocks),
``cmd/utils/flags.go`` (network ids; which list is for which network) and ``params/bootnodes.go``
(bootstrap nodes and DNS names, last changed on 2025-03-18). A network plans forks and replaces
bootstrap nodes at any time: a program that runs for years takes its own.

The lists are kept as text. Their nodes are parsed, and the signatures of their records verified, at
the first access, not at the import. Pure; any thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from p2p.arguments import check_type, check_uint64, shown, wrong, wrong_type
from p2p.enode.node import Node, parse_node
from p2p.errors import InvalidNode
from p2p.forkid import Chain

__all__ = ["HOODI", "MAINNET", "SEPOLIA", "Network"]

_SOURCE = "go-ethereum 02b73d4ea718, 2026-08-20"


@dataclass(frozen=True, slots=True, repr=False)
class Network:
    """An Ethereum network. Immutable; a value; any thread may use it.

    ``network_id`` is the number in the handshake of ``eth``, ``chain`` the genesis block and the
    forks. ``bootstrap_urls`` are enode URLs for discovery v4, ``bootstrap_records`` are records
    (``enr:...``) for discovery v5 (none: v5 has those of v4), ``dns_trees`` the URLs of node lists
    (``enrtree://...``, EIP-1459); they are kept as tuples. ``dataclasses.replace`` makes a network
    with other lists or forks, for instance after a fork that these here do not have yet.
    ``source`` is the origin of these facts, with its date. Raises ArgumentError for values of other
    types or out of range.
    """

    name: str
    network_id: int
    chain: Chain
    bootstrap_urls: Sequence[str] = ()
    bootstrap_records: Sequence[str] = ()
    dns_trees: Sequence[str] = ()
    source: str = ""

    def __post_init__(self) -> None:
        check_type("name", self.name, str, "a text")
        if not self.name:
            raise wrong("name", self.name, "a text that is not empty")
        check_uint64("network_id", self.network_id)
        check_type("chain", self.chain, Chain, "a Chain")
        check_type("source", self.source, str, "a text")
        for name in ("bootstrap_urls", "bootstrap_records", "dns_trees"):
            object.__setattr__(self, name, _texts(name, getattr(self, name)))

    @property
    def genesis_hash(self) -> bytes:
        """The hash of the genesis block, 32 bytes."""
        return self.chain.genesis_hash

    @property
    def bootstrap_nodes(self) -> tuple[Node, ...]:
        """The nodes of ``bootstrap_urls``. Raises InvalidNode for a text that is no node."""
        return _nodes(tuple(self.bootstrap_urls))

    @property
    def bootstrap_nodes_v5(self) -> tuple[Node, ...]:
        """The nodes of ``bootstrap_records``. Raises InvalidNode for a text that is no node."""
        return _nodes(tuple(self.bootstrap_records))

    def __repr__(self) -> str:
        return f"Network({self.name!r}, id {self.network_id})"


def _texts(name: str, texts: object) -> tuple[str, ...]:
    wanted = "a sequence of texts"
    if not isinstance(texts, Sequence) or isinstance(texts, str):
        raise wrong_type(name, texts, wanted)
    if not all(isinstance(text, str) for text in texts):
        raise wrong_type(name, texts, wanted)
    return tuple(texts)


@lru_cache(maxsize=16)
def _nodes(texts: tuple[str, ...]) -> tuple[Node, ...]:
    return tuple(map(_node, texts))


def _node(text: str) -> Node:
    try:
        return parse_node(text)
    except InvalidNode as error:
        raise InvalidNode(f"{error}; got {shown(text)}") from error


# Bootstrap nodes and DNS: params/bootnodes.go of 2025-03-18, by operator.

_MAINNET_URLS = (
    # Ethereum Foundation
    "enode://d860a01f9722d78051619d1e2351aba3f43f943f6f00718d1b9baa4101932a1f5011f16bb2b1bb35db20d6fe28fa0bf09636d26a87d31de9ec6203eeedb1f666@18.138.108.67:30303",
    "enode://22a8232c3abc76a16ae9d6c3b164f98775fe226f0917b0ca871128a74a8e9630b458460865bab457221f1d448dd9791d24c4e5d88786180ac185df813a68d4de@3.209.45.79:30303",
    "enode://2b252ab6a1d0f971d9722cb839a42cb81db019ba44c08754628ab4a823487071b5695317c8ccd085219c3a03af063495b2f1da8d18218da2d6a82981b45e6ffc@65.108.70.101:30303",
    "enode://4aeb4ab6c14b23e2c4cfdce879c04b0748a20d8e9b59e25ded2a08143e265c6c25936e74cbc8e641e3312ca288673d91f2f93f8e277de3cfa444ecdaaf982052@157.90.35.166:30303",
)

_SEPOLIA_URLS = (
    # EF DevOps
    "enode://4e5e92199ee224a01932a377160aa432f31d0b351f84ab413a8e0a42f4f36476f8fb1cbe914af0d9aef0d51665c214cf653c651c4bbd9d5550a934f241f1682b@138.197.51.181:30303",
    "enode://143e11fb766781d22d92a2e33f8f104cddae4411a122295ed1fdb6638de96a6ce65f5b7c964ba3763bba27961738fef7d3ecc739268f3e5e771fb4c87b6234ba@146.190.1.103:30303",
    "enode://8b61dc2d06c3f96fddcbebb0efb29d60d3598650275dc469c22229d3e5620369b0d3dedafd929835fe7f489618f19f456fe7c0df572bf2d914a9f4e006f783a9@170.64.250.88:30303",
    "enode://10d62eff032205fcef19497f35ca8477bea0eadfff6d769a147e895d8b2b8f8ae6341630c645c30f5df6e67547c03494ced3d9c5764e8622a26587b083b028e8@139.59.49.206:30303",
    "enode://9e9492e2e8836114cc75f5b929784f4f46c324ad01daf87d956f98b3b6c5fcba95524d6e5cf9861dc96a2c8a171ea7105bb554a197455058de185fa870970c7c@138.68.123.152:30303",
)

_HOODI_URLS = (
    # EF DevOps
    "enode://2112dd3839dd752813d4df7f40936f06829fc54c0e051a93967c26e5f5d27d99d886b57b4ffcc3c475e930ec9e79c56ef1dbb7d86ca5ee83a9d2ccf36e5c240c@134.209.138.84:30303",
    "enode://60203fcb3524e07c5df60a14ae1c9c5b24023ea5d47463dfae051d2c9f3219f309657537576090ca0ae641f73d419f53d8e8000d7a464319d4784acd7d2abc41@209.38.124.160:30303",
    "enode://8ae4a48101b2299597341263da0deb47cc38aa4d3ef4b7430b897d49bfa10eb1ccfe1655679b1ed46928ef177fbf21b86837bd724400196c508427a6f41602cd@134.199.184.23:30303",
)

#: The network of discovery v5 is one for all chains. These nodes are run for the consensus layer,
#: so that their records have no entry ``eth``; go-ethereum uses them for each of its networks.
_RECORDS = (
    # Teku
    "enr:-KG4QMOEswP62yzDjSwWS4YEjtTZ5PO6r65CPqYBkgTTkrpaedQ8uEUo1uMALtJIvb2w_WWEVmg5yt1UAuK1ftxUU7QDhGV0aDKQu6TalgMAAAD__________4JpZIJ2NIJpcIQEnfA2iXNlY3AyNTZrMaEDfol8oLr6XJ7FsdAYE7lpJhKMls4G_v6qQOGKJUWGb_uDdGNwgiMog3VkcIIjKA",
    "enr:-KG4QF4B5WrlFcRhUU6dZETwY5ZzAXnA0vGC__L1Kdw602nDZwXSTs5RFXFIFUnbQJmhNGVU6OIX7KVrCSTODsz1tK4DhGV0aDKQu6TalgMAAAD__________4JpZIJ2NIJpcIQExNYEiXNlY3AyNTZrMaECQmM9vp7KhaXhI-nqL_R0ovULLCFSFTa9CPPSdb1zPX6DdGNwgiMog3VkcIIjKA",
    # Prylab
    "enr:-Ku4QImhMc1z8yCiNJ1TyUxdcfNucje3BGwEHzodEZUan8PherEo4sF7pPHPSIB1NNuSg5fZy7qFsjmUKs2ea1Whi0EBh2F0dG5ldHOIAAAAAAAAAACEZXRoMpD1pf1CAAAAAP__________gmlkgnY0gmlwhBLf22SJc2VjcDI1NmsxoQOVphkDqal4QzPMksc5wnpuC3gvSC8AfbFOnZY_On34wIN1ZHCCIyg",
    "enr:-Ku4QP2xDnEtUXIjzJ_DhlCRN9SN99RYQPJL92TMlSv7U5C1YnYLjwOQHgZIUXw6c-BvRg2Yc2QsZxxoS_pPRVe0yK8Bh2F0dG5ldHOIAAAAAAAAAACEZXRoMpD1pf1CAAAAAP__________gmlkgnY0gmlwhBLf22SJc2VjcDI1NmsxoQMeFF5GrS7UZpAH2Ly84aLK-TyvH-dRo0JM1i8yygH50YN1ZHCCJxA",
    "enr:-Ku4QPp9z1W4tAO8Ber_NQierYaOStqhDqQdOPY3bB3jDgkjcbk6YrEnVYIiCBbTxuar3CzS528d2iE7TdJsrL-dEKoBh2F0dG5ldHOIAAAAAAAAAACEZXRoMpD1pf1CAAAAAP__________gmlkgnY0gmlwhBLf22SJc2VjcDI1NmsxoQMw5fqqkw2hHC4F5HZZDPsNmPdB1Gi8JPQK7pRc9XHh-oN1ZHCCKvg",
    # Lighthouse
    "enr:-Le4QPUXJS2BTORXxyx2Ia-9ae4YqA_JWX3ssj4E_J-3z1A-HmFGrU8BpvpqhNabayXeOZ2Nq_sbeDgtzMJpLLnXFgAChGV0aDKQtTA_KgEAAAAAIgEAAAAAAIJpZIJ2NIJpcISsaa0Zg2lwNpAkAIkHAAAAAPA8kv_-awoTiXNlY3AyNTZrMaEDHAD2JKYevx89W0CcFJFiskdcEzkH_Wdv9iW42qLK79ODdWRwgiMohHVkcDaCI4I",
    "enr:-Le4QLHZDSvkLfqgEo8IWGG96h6mxwe_PsggC20CL3neLBjfXLGAQFOPSltZ7oP6ol54OvaNqO02Rnvb8YmDR274uq8ChGV0aDKQtTA_KgEAAAAAIgEAAAAAAIJpZIJ2NIJpcISLosQxg2lwNpAqAX4AAAAAAPA8kv_-ax65iXNlY3AyNTZrMaEDBJj7_dLFACaxBfaI8KZTh_SSJUjhyAyfshimvSqo22WDdWRwgiMohHVkcDaCI4I",
    "enr:-Le4QH6LQrusDbAHPjU_HcKOuMeXfdEB5NJyXgHWFadfHgiySqeDyusQMvfphdYWOzuSZO9Uq2AMRJR5O4ip7OvVma8BhGV0aDKQtTA_KgEAAAAAIgEAAAAAAIJpZIJ2NIJpcISLY9ncg2lwNpAkAh8AgQIBAAAAAAAAAAmXiXNlY3AyNTZrMaECDYCZTZEksF-kmgPholqgVt8IXr-8L7Nu7YrZ7HUpgxmDdWRwgiMohHVkcDaCI4I",
    "enr:-Le4QIqLuWybHNONr933Lk0dcMmAB5WgvGKRyDihy1wHDIVlNuuztX62W51voT4I8qD34GcTEOTmag1bcdZ_8aaT4NUBhGV0aDKQtTA_KgEAAAAAIgEAAAAAAIJpZIJ2NIJpcISLY04ng2lwNpAkAh8AgAIBAAAAAAAAAA-fiXNlY3AyNTZrMaEDscnRV6n1m-D9ID5UsURk0jsoKNXt1TIrj8uKOGW6iluDdWRwgiMohHVkcDaCI4I",
    # EF
    "enr:-Ku4QHqVeJ8PPICcWk1vSn_XcSkjOkNiTg6Fmii5j6vUQgvzMc9L1goFnLKgXqBJspJjIsB91LTOleFmyWWrFVATGngBh2F0dG5ldHOIAAAAAAAAAACEZXRoMpC1MD8qAAAAAP__________gmlkgnY0gmlwhAMRHkWJc2VjcDI1NmsxoQKLVXFOhp2uX6jeT0DvvDpPcU8FWMjQdR4wMuORMhpX24N1ZHCCIyg",
    "enr:-Ku4QG-2_Md3sZIAUebGYT6g0SMskIml77l6yR-M_JXc-UdNHCmHQeOiMLbylPejyJsdAPsTHJyjJB2sYGDLe0dn8uYBh2F0dG5ldHOIAAAAAAAAAACEZXRoMpC1MD8qAAAAAP__________gmlkgnY0gmlwhBLY-NyJc2VjcDI1NmsxoQORcM6e19T1T9gi7jxEZjk_sjVLGFscUNqAY9obgZaxbIN1ZHCCIyg",
    "enr:-Ku4QPn5eVhcoF1opaFEvg1b6JNFD2rqVkHQ8HApOKK61OIcIXD127bKWgAtbwI7pnxx6cDyk_nI88TrZKQaGMZj0q0Bh2F0dG5ldHOIAAAAAAAAAACEZXRoMpC1MD8qAAAAAP__________gmlkgnY0gmlwhDayLMaJc2VjcDI1NmsxoQK2sBOLGcUb4AwuYzFuAVCaNHA-dy24UuEKkeFNgCVCsIN1ZHCCIyg",
    "enr:-Ku4QEWzdnVtXc2Q0ZVigfCGggOVB2Vc1ZCPEc6j21NIFLODSJbvNaef1g4PxhPwl_3kax86YPheFUSLXPRs98vvYsoBh2F0dG5ldHOIAAAAAAAAAACEZXRoMpC1MD8qAAAAAP__________gmlkgnY0gmlwhDZBrP2Jc2VjcDI1NmsxoQM6jr8Rb1ktLEsVcKAPa08wCsKUmvoQ8khiOl_SLozf9IN1ZHCCIyg",
    # Nimbus
    "enr:-LK4QA8FfhaAjlb_BXsXxSfiysR7R52Nhi9JBt4F8SPssu8hdE1BXQQEtVDC3qStCW60LSO7hEsVHv5zm8_6Vnjhcn0Bh2F0dG5ldHOIAAAAAAAAAACEZXRoMpC1MD8qAAAAAP__________gmlkgnY0gmlwhAN4aBKJc2VjcDI1NmsxoQJerDhsJ-KxZ8sHySMOCmTO6sHM3iCFQ6VMvLTe948MyYN0Y3CCI4yDdWRwgiOM",
    "enr:-LK4QKWrXTpV9T78hNG6s8AM6IO4XH9kFT91uZtFg1GcsJ6dKovDOr1jtAAFPnS2lvNltkOGA9k29BUN7lFh_sjuc9QBh2F0dG5ldHOIAAAAAAAAAACEZXRoMpC1MD8qAAAAAP__________gmlkgnY0gmlwhANAdd-Jc2VjcDI1NmsxoQLQa6ai7y9PMN5hpLe5HmiJSlYzMuzP7ZhwRiwHvqNXdoN0Y3CCI4yDdWRwgiOM",
)

#: The key of the Ethereum Foundation's node lists, compressed and in base32.
_DNS_KEY = "AKA3AM6LPBYEUDMVNU3BSVQJ5AD45Y7YPOHJLEF6W26QOE4VTUDPE"


def _tree(name: str) -> str:
    """Return the URL of the list of all execution nodes of a network."""
    return f"enrtree://{_DNS_KEY}@all.{name}.ethdisco.net"


# Forks: params/config.go of 2026-08-11. Forks that are part of the genesis block are left out.

MAINNET = Network(
    name="mainnet",
    network_id=1,
    chain=Chain(
        bytes.fromhex("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"),
        fork_blocks=(
            1_150_000,  # Homestead
            1_920_000,  # DAO
            2_463_000,  # Tangerine Whistle
            2_675_000,  # Spurious Dragon
            4_370_000,  # Byzantium
            7_280_000,  # Constantinople and Petersburg
            9_069_000,  # Istanbul
            9_200_000,  # Muir Glacier
            12_244_000,  # Berlin
            12_965_000,  # London
            13_773_000,  # Arrow Glacier
            15_050_000,  # Gray Glacier
        ),
        fork_times=(
            1_681_338_455,  # Shanghai
            1_710_338_135,  # Cancun
            1_746_612_311,  # Prague
            1_764_798_551,  # Osaka
            1_765_290_071,  # BPO1
            1_767_747_671,  # BPO2
        ),
    ),
    bootstrap_urls=_MAINNET_URLS,
    bootstrap_records=_RECORDS,
    dns_trees=(_tree("mainnet"),),
    source=_SOURCE,
)

SEPOLIA = Network(
    name="sepolia",
    network_id=11_155_111,
    chain=Chain(
        bytes.fromhex("25a5cc106eea7138acab33231d7160d69cb777ee0c2c553fcddf5138993e6dd9"),
        fork_blocks=(
            1_735_371,  # the merge's network split
        ),
        fork_times=(
            1_677_557_088,  # Shanghai
            1_706_655_072,  # Cancun
            1_741_159_776,  # Prague
            1_760_427_360,  # Osaka
            1_761_017_184,  # BPO1
            1_761_607_008,  # BPO2
        ),
        genesis_time=1_633_267_481,
    ),
    bootstrap_urls=_SEPOLIA_URLS,
    bootstrap_records=_RECORDS,
    dns_trees=(_tree("sepolia"),),
    source=_SOURCE,
)

HOODI = Network(
    name="hoodi",
    network_id=560_048,
    chain=Chain(
        bytes.fromhex("bbe312868b376a3001692a646dd2d7d1e4406380dfd86b98aa8a34d1557c971b"),
        fork_times=(
            1_742_999_832,  # Prague
            1_761_677_592,  # Osaka
            1_762_365_720,  # BPO1
            1_762_955_544,  # BPO2
        ),
        genesis_time=1_742_212_800,
    ),
    bootstrap_urls=_HOODI_URLS,
    bootstrap_records=_RECORDS,
    dns_trees=(_tree("hoodi"),),
    source=_SOURCE,
)
