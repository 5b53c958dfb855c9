#include "app/assemble.h"

#include "cache/limited_source.h"
#include "fs/object_file_system.h"
#include "origin/open_store.h"
#include "read/origin_source.h"

namespace shoal {
namespace {

// As many as the admin port asks at once.
constexpr uint64_t kFactsConnectionCount = 2;

}  // namespace

Result<Node> Assemble(const MountOptions& options, const Clock& clock, HandOver& hand_over,
                      FileDescriptor memory_medium) {
  Node node;
  ASSIGN_OR_RETURN(auto credentials, OpenCredentials(options.origin, clock));
  node.credentials = std::make_shared<ReplaceableCredentials>(std::move(credentials));
  const StoreMeans means{.requests = node.last_requests.get(), .stop = node.stop.get_token()};
  ASSIGN_OR_RETURN(std::unique_ptr<ObjectStore> store,
                   OpenStore(options.origin, node.credentials, clock, means));
  node.store = std::make_unique<MeasuredStore>(std::move(store), *node.store_metrics, clock);
  OriginOptions warmup = options.origin;
  warmup.connection_count_max = options.warmup.connection_count_max;
  ASSIGN_OR_RETURN(store, OpenStore(warmup, node.credentials, clock, means));
  node.warmup_store = std::make_unique<MeasuredStore>(std::move(store), *node.store_metrics, clock);
  OriginOptions facts = options.origin;
  facts.connection_count_max = kFactsConnectionCount;
  ASSIGN_OR_RETURN(store, OpenStore(facts, node.credentials, clock, {.stop = means.stop}));
  node.facts_store = std::make_unique<MeasuredStore>(std::move(store), *node.store_metrics, clock);
  node.demand = std::make_unique<DemandGauge>(clock);
  node.origin = std::make_unique<OriginSource>(*node.store, *node.warmup_store, node.demand.get());
  node.counted_origin = std::make_unique<CountedSource>(*node.origin, *node.fetches);
  node.traffic = std::make_unique<TrafficLimit>(options.cache.fetch_rate_max, clock);
  node.limited_origin = std::make_unique<LimitedSource>(*node.counted_origin, *node.traffic);
  CacheOptions cache = options.cache;
  cache.bucket_identity = options.origin.endpoint + " " + options.origin.bucket;
  ASSIGN_OR_RETURN(node.tiers, OpenTiers(cache, std::move(memory_medium), *node.limited_origin,
                                         node.demand.get(), clock));
  RangeSource* source = node.limited_origin.get();
  if (node.tiers.disk) source = node.tiers.disk.get();
  if (node.tiers.memory) source = node.tiers.memory.get();
  node.counted_tiers =
      std::make_unique<CountedSource>(*source, *node.reads, CountedSource::Counts::kAskedFor);
  node.read_engine = MakeReadEngine(options.read, *node.counted_tiers, clock);
  node.file_system = MakeObjectFileSystem(options.file_system, *node.store, *node.read_engine,
                                          clock, hand_over, *node.file_system_metrics);
  return node;
}

}  // namespace shoal
