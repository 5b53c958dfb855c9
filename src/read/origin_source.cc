#include "read/origin_source.h"

namespace shoal {

Result<ServedBy> OriginSource::Read(const RangeRequest& request, ByteSink& sink) {
  RETURN_IF_ERROR(store_.Get(request.object, request.range, sink, request.deadline));
  return ServedBy::kOrigin;
}

}  // namespace shoal
