// A set in the order of arrival that knows its first and its last member at once. JavaScript's own set finds its first
// by walking over all that were deleted before it, which makes a queue of thousands quadratic.

export interface LinkedSet<Member> {
  readonly size: number;
  readonly first: Member | undefined;
  readonly last: Member | undefined;
  /** A member that is in already stays where it is. */
  add(member: Member): void;
  /** Whether it was in. */
  delete(member: Member): boolean;
}

interface Link<Member> {
  readonly member: Member;
  before: Link<Member> | undefined;
  after: Link<Member> | undefined;
}

export function createLinkedSet<Member>(): LinkedSet<Member> {
  const links = new Map<Member, Link<Member>>();
  let first: Link<Member> | undefined;
  let last: Link<Member> | undefined;

  return {
    get size() {
      return links.size;
    },
    get first() {
      return first?.member;
    },
    get last() {
      return last?.member;
    },
    add(member) {
      if (links.has(member)) return;
      const link = { member, before: last, after: undefined };
      links.set(member, link);
      if (last === undefined) first = link;
      else last.after = link;
      last = link;
    },
    delete(member) {
      const link = links.get(member);
      if (link === undefined) return false;
      links.delete(member);
      const { before, after } = link;
      if (before === undefined) first = after;
      else before.after = after;
      if (after === undefined) last = before;
      else after.before = before;
      return true;
    },
  };
}
