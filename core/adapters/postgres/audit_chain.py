"""What `verify` asks the database about the audit: whether each row is what was recorded, and none is missing.

The hashes are computed here anew, not by the function that made them, which somebody could have replaced.
"""

from __future__ import annotations

from collections.abc import Sequence

INVARIANT = "I9"

ROWS = """
SELECT NULL, position,
       CASE WHEN position > head THEN 'row ' || position || ' of the audit was put in: the chain ends at row ' || head
            WHEN position <= before THEN 'row ' || position || ' of the audit stands there twice'
            WHEN position <> before + 1
            THEN CASE WHEN position = before + 2 THEN 'row ' || before + 1 || ' of the audit is missing'
                 ELSE 'rows ' || before + 1 || ' to ' || position - 1 || ' of the audit are missing' END
            ELSE 'row ' || position || ' of the audit is not what was recorded, or does not follow row ' || before END
  FROM (SELECT a.*, c.head,
               coalesce(lag(a.position) OVER chain, c.cut) AS before,
               coalesce(lag(a.hash) OVER chain, c.cut_hash) AS before_hash
          FROM audit a, audit_chain c WHERE a.position > c.cut
        WINDOW chain AS (ORDER BY a.position)) AS r
 WHERE position > head OR position <> before + 1
    OR hash <> sha256(before_hash || convert_to(jsonb_build_array(
           position, (extract(epoch FROM at) * 1000000)::bigint, caller, key_id, on_behalf_of, source, action, target,
           outcome, status, problem, request_id, event_position, times, detail)::text, 'UTF8'))
 ORDER BY position
"""
END = """
SELECT NULL, c.head,
       CASE WHEN last.position IS DISTINCT FROM c.head
            THEN 'rows ' || coalesce(last.position, c.cut) + 1 || ' to ' || c.head || ' of the audit are missing'
            ELSE 'the hash of the last row of the audit is not the one at the end of the chain' END
  FROM audit_chain c
  LEFT JOIN LATERAL (SELECT a.position, a.hash FROM audit a WHERE a.position > c.cut AND a.position <= c.head
                      ORDER BY a.position DESC LIMIT 1) AS last ON true
 WHERE c.head > c.cut AND (last.position IS DISTINCT FROM c.head OR last.hash <> c.head_hash)
"""
CUT = """
SELECT NULL, c.cut, 'the audit begins after row ' || c.cut || ', and none of its rows says that it was cut there'
  FROM audit_chain c
 WHERE c.cut > 0
   AND NOT EXISTS (SELECT FROM audit a
                    WHERE a.position > c.cut AND a.action = 'cut the audit' AND a.source = 'database'
                      AND a.target LIKE '% to ' || c.cut AND strpos(a.detail, encode(c.cut_hash, 'hex')) > 0)
"""
AUDIT_DISORDER: Sequence[tuple[str, str]] = ((INVARIANT, ROWS), (INVARIANT, END), (INVARIANT, CUT))

SUMMARY = "SELECT head - cut, head, encode(head_hash, 'hex') FROM audit_chain"
