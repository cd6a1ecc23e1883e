"""`/api/v1/search`: what the search page shows; it is there only where that page is."""

from collections.abc import Mapping
from typing import Annotated, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from recovery.ledger.errors import AskedWronglyError
from recovery.manager.searching import OFF, PAGE, Found, Searching
from recovery.manager.web.moments import Moment, moment
from recovery.manager.web.principal import Reader
from recovery.manager.web.problems import MAX_SHOWN_CHARS, documented, not_found
from recovery.manager.web.service import Service, TheService
from worker.core.index import MAX_HITS, Facets, Hit
from worker.core.index.mistakes import mistakes
from worker.core.index.query import MAX_CHARS

MAX_LIMIT = 100
"""Hits of one page: of each, the text is read for passages."""
router = APIRouter(tags=["search"])
_AT = "2026-11-01T09:30:00.000Z"
SearchQuery = Annotated[
    str,
    Query(
        max_length=MAX_CHARS,
        description='Words; `"an exact phrase"`; `ext:pdf`, `bucket:our-files`, `size:>1mb`, `after:2026-01-31`, `before:2027`; '
        "`-word` leaves out.",
        examples=["見積書 ext:pdf,xlsx after:2026"],
        json_schema_extra={"format": "document-query"},
    ),
]


class SearchHit(BaseModel):
    """One file."""

    bucket: str = Field(examples=["our-files"])
    key: str = Field(examples=["経理/見積書.pdf"])
    score: float = Field(description="How well it matches; 0 where no word was asked for.", examples=[12.5])
    size_bytes: int | None = Field(description="Null: the document does not say.", examples=[48_213])
    modified_at: Moment | None = Field(description="Null: the document does not say.", examples=[_AT])
    highlights: list[str] = Field(
        description="Its name and passages of its text, where they match; each match stands between U+E000 and U+E001.",
        examples=[["東京支店の\ue000見積書\ue001です。"]],
    )

    @classmethod
    def of(cls, hit: Hit, bucket: str) -> Self:
        """A hit of the index."""
        at_ms = int(hit.modified.timestamp() * 1000) if hit.modified else None
        return cls(
            bucket=bucket, key=hit.key, score=hit.score, size_bytes=hit.size_bytes, modified_at=moment(at_ms),
            highlights=hit.highlights,
        )  # fmt: skip


class SearchFacets(BaseModel):
    """How many of all hits have each value, at most 12 of each; every value can be asked for by a filter."""

    extensions: dict[str, int] = Field(description="By `ext:`; the most frequent first.", examples=[{"pdf": 12}])
    buckets: dict[str, int] = Field(description="By `bucket:`; the most frequent first.", examples=[{"our-files": 14}])
    years: dict[str, int] = Field(
        description="Of the last change (UTC), by `after:` and `before:`; the latest first.", examples=[{"2026": 14}]
    )

    @classmethod
    def of(cls, facets: Facets) -> Self:
        """The facets of the index."""
        counted: tuple[Mapping[str, int], ...] = (facets.extensions, facets.buckets, facets.years)
        return cls(extensions=dict(counted[0]), buckets=dict(counted[1]), years=dict(counted[2]))


class SearchPage(BaseModel):
    """One page of hits, the best first; without a word in the query, the newest first."""

    total: int = Field(description="How many there are on all pages.", examples=[14])
    hits: list[SearchHit]
    facets: SearchFacets | None = Field(description="Null: the index has not counted them in time.")
    next: int | None = Field(
        description=f"`offset` of the next page; null: there is none, or it is over {MAX_HITS:,}.", examples=[None]
    )

    @classmethod
    def of(cls, found: Found, searching: Searching) -> Self:
        """What was found."""
        return cls(
            total=found.result.total,
            hits=[SearchHit.of(hit, searching.bucket_of(hit.bucket)) for hit in found.result.hits],
            facets=None if found.facets is None else SearchFacets.of(found.facets),
            next=found.next,
        )


def the_search(service: Service) -> Searching:
    """The search page's functions. Raises HTTPException 404 where it is off."""
    if service.searching is None:
        raise not_found(OFF)
    return service.searching


@router.get("/api/v1/search", responses=documented(400, 404))
def search_documents(
    _reader: Reader,
    service: TheService,
    q: SearchQuery,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="The maximum number of hits.", examples=[20])] = PAGE,
    offset: Annotated[int, Query(ge=0, le=MAX_HITS, description="Skip this many first.")] = 0,
) -> SearchPage:
    """Search names, paths and contents of the files in the index, as `s3-index-worker search` does. Only where SEARCH_PAGE=on."""
    searching = the_search(service)
    if wrong := mistakes(q):
        raise AskedWronglyError("q", q[:MAX_SHOWN_CHARS], f"a query without mistakes: {'; '.join(wrong)}")
    return SearchPage.of(searching.search(q, limit=limit, offset=offset), searching)
