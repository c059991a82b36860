"""ChangeFeedService: answers for every service that this process hosts."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from concord.common.v1.change_feed_service_pb2 import GetHeadRequest, GetHeadResponse, WatchRequest
from concord.common.v1.change_feed_service_pb2_grpc import ChangeFeedServiceServicer
from concord.kernel.errors import Invalid, NotFound, Violation
from concord.kernel.feed.producer import Feed


class ChangeFeedServicer(ChangeFeedServiceServicer):
    """One for each process; it finds the feed by its source. Feeds may be added until serving starts."""

    def __init__(self, feeds: Mapping[str, Feed]) -> None:
        self._feeds = feeds

    # A coroutine that writes, not a generator: both are served alike, and the chain sees the stream's end.
    async def Watch(  # type: ignore[override]
        self, request_iterator: AsyncIterator[WatchRequest], context: Any
    ) -> None:
        """Stream changes; see the contract."""
        requests = aiter(request_iterator)
        first = await anext(requests, None)
        if first is None:
            raise Invalid(Violation("source", "must be named by the first request", rule="required"))
        await self._feed(first.source).watch(first, requests, context.write)

    async def GetHead(self, request: GetHeadRequest, context: Any) -> GetHeadResponse:
        """Return where a source stands."""
        feed = self._feed(request.source)
        head = await feed.read_head()
        # Who asks is about to wait for everything up to there.
        feed.advance(head, urgent=True)
        return GetHeadResponse(revision=head)

    def _feed(self, source: str) -> Feed:
        feed = self._feeds.get(source)
        if feed is None:
            raise NotFound("source", source)
        return feed
