"""The SQL behind each query name: the registry of schemas."""

from __future__ import annotations

from typing import Final

_SCHEMA: Final = (
    "schema_id, version, document, description, active::int4 AS active, created_at"
)

SCHEMA_STATEMENTS: Final = {
    "active_schemas": f"""
        SELECT {_SCHEMA} FROM tq_schemas AS s
        WHERE schema_id = ANY(:schema_ids::text[])
          AND version = (
            SELECT max(version) FROM tq_schemas
            WHERE schema_id = s.schema_id AND active
          )
    """,
    "other_active_schemas": """
        SELECT version FROM tq_schemas
        WHERE schema_id = :schema_id AND active AND version <> :version LIMIT 1
    """,
    "schema_version_of": f"""
        SELECT {_SCHEMA} FROM tq_schemas
        WHERE schema_id = :schema_id AND version = :version
    """,
    "schemas_named": """
        SELECT DISTINCT schema_id FROM tq_schemas
        WHERE schema_id = ANY(:schema_ids::text[])
    """,
    "newest_schema": f"""
        SELECT {_SCHEMA} FROM tq_schemas
        WHERE schema_id = :schema_id ORDER BY version DESC LIMIT 1
    """,
    "list_schemas": f"""
        SELECT {_SCHEMA} FROM tq_schemas
        WHERE (schema_id, version) > (:after_id::text, :after_version::int8)
          AND substr(schema_id, 1, :length::int4) = :prefix::text
          AND active::int4 >= :least::int4
        ORDER BY schema_id, version LIMIT :limit
    """,
    "insert_schema": """
        INSERT INTO tq_schemas (
            schema_id, version, document, description, active, created_at
        ) VALUES (
            :schema_id, :version, :document, :description, :active::int4 <> 0,
            :created_at
        )
    """,
    "set_schema_active": """
        UPDATE tq_schemas SET active = (:active::int4 <> 0)
        WHERE schema_id = :schema_id AND version = :version
    """,
    "delete_schemas": """
        DELETE FROM tq_schemas
        WHERE schema_id = :schema_id AND (:version::int8 IS NULL OR version = :version)
        RETURNING version
    """,
    "kept_schema_number": "SELECT value FROM tq_meta WHERE key = :key",
    "keep_schema_number": """
        INSERT INTO tq_meta (key, value) VALUES (:key, :value)
        ON CONFLICT (key) DO UPDATE SET value = excluded.value
        WHERE excluded.value::int8 > tq_meta.value::int8
    """,
    "schema_uses": """
        SELECT
            (SELECT count(*) FROM (
                SELECT 1 FROM tq_messages WHERE schema_id = :schema_id
                  AND (:version::int8 IS NULL OR schema_version = :version) LIMIT :most
            ) AS live),
            (SELECT count(*) FROM (
                SELECT 1 FROM tq_history WHERE schema_id = :schema_id
                  AND (:version::int8 IS NULL OR schema_version = :version) LIMIT :most
            ) AS finished)
    """,
}
