#include "read/origin_source.h"

namespace shoal {
namespace {

class OriginBytes final : public ObjectBytes {
 public:
  OriginBytes(ObjectStore& store, const ObjectVersion& version)
      : store_(store), version_(version) {}

  Result<ServedBy> Read(const RangeRequest& request, ByteSink& sink) override {
    RETURN_IF_ERROR(store_.Get(version_, request.range, sink, request.deadline));
    return ServedBy::kOrigin;
  }

 private:
  ObjectStore& store_;
  const ObjectVersion version_;
};

}  // namespace

std::shared_ptr<ObjectBytes> OriginSource::Open(const ObjectVersion& version) {
  return std::make_shared<OriginBytes>(store_, version);
}

}  // namespace shoal
