#include "origin/list_document.h"

#include <algorithm>
#include <pugixml.hpp>
#include <string>
#include <utility>

#include "origin/text_values.h"

namespace shoal {
namespace {

constexpr int kDepthMax = 16;

auto Wrong(std::string what) {
  return Fail(Errc::kUnreachable, std::move(what));
}

class DepthLimit final : public pugi::xml_tree_walker {
 public:
  bool for_each(pugi::xml_node&) override { return depth() < kDepthMax; }
};

Result<pugi::xml_node> Parse(pugi::xml_document& document, std::string_view text,
                             const char* root) {
  const auto parsed =
      document.load_buffer(text.data(), text.size(), pugi::parse_default, pugi::encoding_utf8);
  if (!parsed) return Wrong(std::string("the document is not XML: ") + parsed.description());
  DepthLimit limit;
  if (!document.traverse(limit)) return Wrong("the document is nested too deeply");
  const pugi::xml_node node = document.child(root);
  if (!node) return Wrong(std::string("the document is not a ") + root);
  return node;
}

class PageReader {
 public:
  PageReader(const ListQuery& query, bool encoded, TokenText token_text)
      : query_(query),
        encoded_(encoded),
        token_encoded_(encoded && token_text == TokenText::kEncodedLikeKeys) {}

  Result<> AddObject(const pugi::xml_node& node) {
    ASSIGN_OR_RETURN(std::string key, Name(node.child("Key")));
    const auto size_bytes = ParseNumber(node.child_value("Size"));
    const auto modified = ParseIsoTime(node.child_value("LastModified"));
    std::string etag = node.child_value("ETag");
    if (!size_bytes || *size_bytes > kObjectBytesMax)
      return Wrong("an object's Size is not a size");
    if (!modified) return Wrong("an object's LastModified is not a time");
    if (etag.empty()) return Wrong("an object has no ETag");
    if (!page_.objects.empty() && key <= page_.objects.back().version.key)
      return Wrong("its keys are out of order");
    if (!query_.from && !query_.after.empty() && key <= query_.after)
      return Wrong("a key is not after the one asked to begin after");
    const bool is_link = node.child_value("Type") == std::string_view("Symlink");
    page_.objects.push_back(
        {.version = {.key = std::move(key), .etag = std::move(etag), .size_bytes = *size_bytes},
         .modified_unix_seconds = *modified,
         .storage_class = is_link ? StorageClass::kLink
                                  : ParseStorageClass(node.child_value("StorageClass"),
                                                      node.child_value("RestoreInfo"))});
    return {};
  }

  Result<> AddCommonPrefix(const pugi::xml_node& node) {
    ASSIGN_OR_RETURN(std::string prefix, Name(node.child("Prefix")));
    if (query_.delimiter.empty() || !prefix.ends_with(query_.delimiter))
      return Wrong("a common prefix does not end with the delimiter");
    if (!page_.common_prefixes.empty() && prefix <= page_.common_prefixes.back())
      return Wrong("its common prefixes are out of order");
    page_.common_prefixes.push_back(std::move(prefix));
    return {};
  }

  Result<> SetNext(const pugi::xml_node& list) {
    const std::string_view truncated = list.child_value("IsTruncated");
    if (truncated == "false") return {};
    if (truncated != "true") return Wrong("it does not say whether it is truncated");
    const char* token = list.child_value("NextContinuationToken");
    auto next = token_encoded_ ? PercentDecode(token, false) : std::string(token);
    if (!next || next->empty()) return Wrong("it is truncated, and says not where to go on");
    if (query_.from == *next) return Wrong("its NextContinuationToken does not go on");
    page_.next = std::move(*next);
    return {};
  }

  [[nodiscard]] size_t size() const { return page_.objects.size() + page_.common_prefixes.size(); }
  ListPage Take() { return std::move(page_); }

 private:
  Result<std::string> Name(const pugi::xml_node& node) const {
    const char* text = node.child_value();
    auto name = encoded_ ? PercentDecode(text, true) : std::string(text);
    if (!name || name->empty()) return Wrong("a key is missing or badly encoded");
    if (!name->starts_with(query_.prefix)) return Wrong("a key is not under the prefix");
    return std::move(*name);
  }

  const ListQuery& query_;
  const bool encoded_;
  const bool token_encoded_;
  ListPage page_;
};

}  // namespace

Result<ListPage> ParseListDocument(std::string_view text, const ListQuery& query,
                                   TokenText token_text) {
  pugi::xml_document document;
  ASSIGN_OR_RETURN(const pugi::xml_node list, Parse(document, text, "ListBucketResult"));
  PageReader page(query, list.child_value("EncodingType") == std::string_view("url"), token_text);
  for (const pugi::xml_node node : list.children("Contents")) RETURN_IF_ERROR(page.AddObject(node));
  for (const pugi::xml_node node : list.children("CommonPrefixes"))
    RETURN_IF_ERROR(page.AddCommonPrefix(node));
  RETURN_IF_ERROR(page.SetNext(list));
  if (page.size() > query.max_keys) return Wrong("it holds more keys than were asked for");
  return page.Take();
}

Result<BucketUsage> ParseStatDocument(std::string_view text) {
  pugi::xml_document document;
  ASSIGN_OR_RETURN(const pugi::xml_node stat, Parse(document, text, "BucketStat"));
  const auto stored_bytes = ParseNumber(stat.child_value("Storage"));
  const auto object_count = ParseNumber(stat.child_value("ObjectCount"));
  if (!stored_bytes || !object_count) return Wrong("it has no Storage or no ObjectCount");
  return BucketUsage{.stored_bytes = *stored_bytes, .object_count = *object_count};
}

}  // namespace shoal
