#include "app/assemble.h"

#include "fs/object_file_system.h"
#include "origin/open_store.h"
#include "read/origin_source.h"

namespace shoal {

Result<Node> Assemble(const MountOptions& options, const Clock& clock, HandOver& hand_over) {
  Node node;
  ASSIGN_OR_RETURN(node.store, OpenStore(options.origin, clock));
  node.origin = std::make_unique<OriginSource>(*node.store);
  CacheOptions cache = options.cache;
  cache.bucket_identity = options.origin.endpoint + " " + options.origin.bucket;
  ASSIGN_OR_RETURN(node.tiers, OpenTiers(cache, *node.origin, clock));
  RangeSource* source = node.origin.get();
  if (node.tiers.disk) source = node.tiers.disk.get();
  if (node.tiers.memory) source = node.tiers.memory.get();
  node.read_engine = MakeReadEngine(options.read, *source, clock);
  node.file_system =
      MakeObjectFileSystem(options.file_system, *node.store, *node.read_engine, clock, hand_over);
  return node;
}

}  // namespace shoal
