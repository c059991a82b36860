"""The compiled contracts, with their comments, as the tests read them."""

import functools
import sysconfig
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor
from grpc_tools import protoc

PROTOS = Path(__file__).resolve().parents[2] / "protos"


@functools.cache
def descriptor_set() -> descriptor_pb2.FileDescriptorSet:
    """Compile all contracts once, imports and source info included."""
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory, "set.binpb")
        status = protoc.main(
            [
                "protoc",
                f"-I{PROTOS}",
                f"-I{sysconfig.get_path('purelib')}",
                f"-I{resources.files('grpc_tools') / '_proto'}",
                "--include_imports",
                "--include_source_info",
                f"--descriptor_set_out={target}",
                *(str(path) for path in sorted(PROTOS.rglob("*.proto"))),
            ]
        )
        assert status == 0
        return descriptor_pb2.FileDescriptorSet.FromString(target.read_bytes())


def own_files() -> list[descriptor_pb2.FileDescriptorProto]:
    """Return the files of our own packages."""
    return [file for file in descriptor_set().file if file.package.startswith("concord.")]


@functools.cache
def pool() -> descriptor_pool.DescriptorPool:
    """Return a pool that holds the contracts and what they import."""
    found = descriptor_pool.DescriptorPool()
    for file in descriptor_set().file:
        found.AddSerializedFile(file.SerializeToString())
    return found


def methods() -> Iterator[MethodDescriptor]:
    """Yield every rpc."""
    for file in own_files():
        for service in file.service:
            yield from pool().FindServiceByName(f"{file.package}.{service.name}").methods


def option(method: MethodDescriptor, name: str) -> object:
    """Return the value of one of our method options; its default where it is not set."""
    extension = pool().FindExtensionByName(f"concord.common.v1.{name}")
    options = message_factory.GetMessageClass(pool().FindMessageTypeByName("google.protobuf.MethodOptions"))()
    options.MergeFromString(method.GetOptions().SerializeToString())
    return options.Extensions[extension]
