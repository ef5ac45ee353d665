"""The shapes of ``/nsml/v1`` but those of runs, in camelCase, as CLOVA NSML documents them. ``OURS`` marks what is not.

What is not documented of an operation as a whole, such as the body of an answer to POST, the operation says itself.
"""

from typing import Annotated, Literal

import msgspec

OURS = {"x-ours": True}
"""The mark of what is not documented."""
ProjectStatus = Literal["CREATING", "CREATED", "CHANGING", "DELETING", "DELETED"]
VolumeStatus = Literal["USED", "DELETED", "DETACHED", "CHANGING"]
Stamp = Annotated[str, msgspec.Meta(description="UTC, YYYY-MM-DD HH:MM:SS.")]
OurStamp = Annotated[str, msgspec.Meta(description="UTC, YYYY-MM-DD HH:MM:SS.", extra_json_schema=OURS)]
OurCount = Annotated[int, msgspec.Meta(extra_json_schema=OURS)]
NasSize = Annotated[
    int,
    msgspec.Meta(
        description="GB; 500 to 5,000 in steps of 100. Recorded and reported, not enforced.",
        extra_json_schema={"minimum": 500, "maximum": 5000, "multipleOf": 100},
    ),
]
ProjectName = Annotated[
    str,
    msgspec.Meta(
        description="3 to 50 English letters, digits and single '-', a letter first, no '-' last; unique in the account.",
        extra_json_schema={"minLength": 3, "maxLength": 50, "pattern": "^[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*$"},
    ),
]
Note = Annotated[str | None, msgspec.Meta(description="At most 1,000 characters.", extra_json_schema={"maxLength": 1000})]


class NewProject(msgspec.Struct, rename="camel"):
    """What POST /projects takes."""

    project_name: ProjectName
    nas_volume_size: NasSize
    note: Note = None


class NewNasSize(msgspec.Struct, rename="camel"):
    """What PATCH /projects/{projectId}/nas takes; a size can only grow."""

    nas_volume_size: NasSize


class ProjectBody(msgspec.Struct, rename="camel"):
    """A project."""

    project_id: str
    project_name: str
    status: ProjectStatus
    note: str
    run_count: Annotated[int, msgspec.Meta(description="Runs that were not deleted.")]
    nas_volume_size: NasSize
    created_date: Stamp
    updated_date: Stamp
    node_count: Annotated[int, msgspec.Meta(description="Nodes of those runs.", extra_json_schema=OURS)]


class ProjectItem(msgspec.Struct, rename="camel"):
    """A project of a list."""

    project_id: str
    vpc_no: Annotated[int, msgspec.Meta(description="0: there are no VPCs here.")]
    project_name: str
    status: ProjectStatus
    user_no: Annotated[int | None, msgspec.Meta(description="Number of who made it; null for the system's.")]
    run_count: int
    node_count: int
    created_date: Stamp
    updated_date: Stamp


class ProjectList(msgspec.Struct, rename="camel"):
    """A page of projects, newest first."""

    projects: list[ProjectItem]
    total_count: int


class NasBody(msgspec.Struct, rename="camel"):
    """The storage of a project: a directory of the server. Dates stand under both of their documented names."""

    project_id: str
    nas_volume_instance_no: Annotated[int, msgspec.Meta(description="A number made of the project's id.")]
    nas_ip: Annotated[str, msgspec.Meta(description="Address of the server.")]
    nas_path: Annotated[str, msgspec.Meta(description="A name; nodes find the storage in NSML_PRJ_DIR.")]
    nas_volume_size: NasSize
    created_date: Stamp
    updated_date: Stamp
    create_date: Stamp
    update_date: Stamp
    used_size: Annotated[
        int | None,
        msgspec.Meta(
            description="Bytes of its files, counted at most once a minute; null while the first count goes on.",
            extra_json_schema=OURS,
        ),
    ]


class ProductBody(msgspec.Struct, rename="camel"):
    """A server product."""

    gpu_svr_code: int
    node_counts: list[int]
    use_type: Literal["TRAIN", "DEV"]
    server_product_code: str
    product_name: str
    eng_full_name: str
    cpu_count: Annotated[int, msgspec.Meta(description="Cores of a node.", extra_json_schema=OURS)]
    memory_size: Annotated[int, msgspec.Meta(description="MiB of a node.", extra_json_schema=OURS)]
    gpu_count: Annotated[int, msgspec.Meta(description="GPUs of a node.", extra_json_schema=OURS)]
    gpu_model: Annotated[str, msgspec.Meta(extra_json_schema=OURS)]


class ProductList(msgspec.Struct, rename="camel"):
    """Every server product."""

    server_product_list: list[ProductBody]
    total_count: int


class ImageBody(msgspec.Struct):
    """An image; ``path`` is what POST runs takes as imagePath."""

    name: str
    path: str


class ImageList(msgspec.Struct, rename="camel"):
    """Every image of a kind."""

    image_list: list[ImageBody]
    total_count: int


class NewRegistry(msgspec.Struct, rename="camel"):
    """What POST /images/secret takes."""

    private_ep: Annotated[
        str, msgspec.Meta(description="One label before .private-ncr.ntruss.com, or a host that the operator allows.")
    ]
    access_key: Annotated[str, msgspec.Meta(extra_json_schema={"minLength": 1, "maxLength": 200})]
    secret_key: Annotated[str, msgspec.Meta(extra_json_schema={"minLength": 1, "maxLength": 4000})]


class RegistryBody(msgspec.Struct, rename="camel"):
    """An image repository that may be pulled from."""

    private_ep: str
    access_key: str
    secret_key: Annotated[str, msgspec.Meta(description="**** and its last four characters.")]
    create_time: Stamp


class RegistryList(msgspec.Struct, rename="camel"):
    """Every image repository of the account, newest first."""

    docker_credentials: list[RegistryBody]
    total_size: int
    total_count: OurCount


class NewSshKey(msgspec.Struct, rename="camel"):
    """What POST /auth-keys takes."""

    title: Annotated[str, msgspec.Meta(description="English letters, digits and single '-', a letter first; at most 100.")]
    key: Annotated[str, msgspec.Meta(description="One line of OpenSSH: type, key, and a comment that is dropped.")]


class SshKeyBody(msgspec.Struct, rename="camel"):
    """An SSH key that opens the nodes of the account."""

    name: Annotated[str, msgspec.Meta(description="Made by the server; with the title it names the key.")]
    title: str
    fingerprint: Annotated[str, msgspec.Meta(description="MD5, sixteen pairs.")]
    create_time: Stamp
    fingerprint_sha256: Annotated[str, msgspec.Meta(description="As ssh-keygen shows it.", extra_json_schema=OURS)] = (
        msgspec.field(name="fingerprintSha256")
    )


class SshKeyList(msgspec.Struct, rename="camel"):
    """Every SSH key of the account, newest first."""

    key_list: list[SshKeyBody]
    total_count: int


class NewVolume(msgspec.Struct, rename="camel"):
    """What POST /blk-storages takes."""

    block_storage_nm: Annotated[str, msgspec.Meta(description="1 to 50 English letters, digits and single '-', a letter first.")]
    project_id: str
    size: Annotated[int, msgspec.Meta(description="GB; recorded and reported, not enforced.")]


class VolumeBody(msgspec.Struct, rename="camel"):
    """A block storage."""

    block_storage_no: int
    block_storage_nm: str
    project_id: str
    status: Annotated[VolumeStatus, msgspec.Meta(description="USED: a run has it. DETACHED: it is free.")]
    node_id: Annotated[str | None, msgspec.Meta(description="First node of the run that has it.")]
    create_time: Stamp
    update_time: Stamp
    size: Annotated[int, msgspec.Meta(description="GB.", extra_json_schema=OURS)]


class VolumeList(msgspec.Struct, rename="camel"):
    """A page of block storages, newest first."""

    page: int
    page_size: int
    total_count: int
    block_storage_mgmt_list: list[VolumeBody]


class CodeBody(msgspec.Struct, rename="camel"):
    """A code archive that a run may name."""

    project_id: str
    code_digest: str
    size_bytes: int


class FileBody(msgspec.Struct, rename="camel"):
    """A file of a project's storage."""

    path: str
    size_bytes: int
    modified_at: Stamp


class FileList(msgspec.Struct, rename="camel"):
    """Files below a directory; ``nextAfter`` is the ``after`` of the next page, null on the last."""

    project_id: str
    files: list[FileBody]
    next_after: str | None


class FilePut(msgspec.Struct, rename="camel"):
    """A file that is now there, whole."""

    project_id: str
    path: str
    size_bytes: int
    sha256: Annotated[str, msgspec.Meta(description="Of its content, in hexadecimal.")]


class FileGone(msgspec.Struct, rename="camel"):
    """A file that is not there any more."""

    project_id: str
    path: str
