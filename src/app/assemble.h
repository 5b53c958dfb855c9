// The composition root: the one place that names every concrete class of a mount.
// Reading it top to bottom is reading the architecture.
#pragma once

#include <memory>
#include <stop_token>

#include "app/mount_options.h"
#include "base/clock.h"
#include "base/file_descriptor.h"
#include "base/result.h"
#include "cache/counted_source.h"
#include "cache/demand_gauge.h"
#include "cache/open_tiers.h"
#include "cache/range_source.h"
#include "cache/traffic_limit.h"
#include "fs/file_system.h"
#include "fs/hand_over.h"
#include "origin/last_requests.h"
#include "origin/measured_store.h"
#include "origin/object_store.h"
#include "origin/replaceable_credentials.h"
#include "read/read_engine.h"

namespace shoal {

// Each member uses those above it.
struct Node {
  // For when all readers have been answered: ends what is asked of the store for nobody.
  std::stop_source stop;
  std::unique_ptr<StoreMetrics> store_metrics = std::make_unique<StoreMetrics>();
  std::unique_ptr<LastRequests> last_requests = std::make_unique<LastRequests>();
  std::shared_ptr<ReplaceableCredentials> credentials;
  std::unique_ptr<ObjectStore> store;
  std::unique_ptr<ObjectStore> warmup_store;  // the same bucket, over connections of its own
  // Again, for what people ask of it: that is not the last request for an object.
  std::unique_ptr<ObjectStore> facts_store;
  std::unique_ptr<DemandGauge> demand;
  std::unique_ptr<RangeSource> origin;
  std::unique_ptr<PlaceCounters> fetches = std::make_unique<PlaceCounters>();
  std::unique_ptr<RangeSource> counted_origin;
  std::unique_ptr<TrafficLimit> traffic;
  std::unique_ptr<RangeSource> limited_origin;
  Tiers tiers;
  std::unique_ptr<PlaceCounters> reads = std::make_unique<PlaceCounters>();
  std::unique_ptr<RangeSource> counted_tiers;
  std::unique_ptr<ReadEngine> read_engine;
  std::unique_ptr<FileSystemMetrics> file_system_metrics = std::make_unique<FileSystemMetrics>();
  std::unique_ptr<FileSystem> file_system;
};

// `memory_medium`: as OpenTiers has it. Starts threads; makes no request that anybody waits for.
// `clock` and `hand_over` outlive the node. Errors are OpenCredentials's,
// OpenStore's and OpenTiers's.
Result<Node> Assemble(const MountOptions& options, const Clock& clock, HandOver& hand_over,
                      FileDescriptor memory_medium);

}  // namespace shoal
