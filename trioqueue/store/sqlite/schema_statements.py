"""The SQL behind each query name: the registry of schemas."""

from __future__ import annotations

from typing import Final

from trioqueue.store.operations.schemas import SchemaRow

_SCHEMA: Final = ", ".join(SchemaRow._fields)

SCHEMA_STATEMENTS: Final = {
    "active_schemas": f"""
        SELECT {_SCHEMA} FROM tq_schemas AS s
        WHERE schema_id IN (SELECT value FROM json_each(:schema_ids))
          AND version = (
            SELECT max(version) FROM tq_schemas
            WHERE schema_id = s.schema_id AND active = 1
          )
    """,
    "other_active_schemas": """
        SELECT version FROM tq_schemas
        WHERE schema_id = :schema_id AND active = 1 AND version <> :version LIMIT 1
    """,
    "schema_version_of": f"""
        SELECT {_SCHEMA} FROM tq_schemas
        WHERE schema_id = :schema_id AND version = :version
    """,
    "schemas_named": """
        SELECT DISTINCT schema_id FROM tq_schemas
        WHERE schema_id IN (SELECT value FROM json_each(:schema_ids))
    """,
    "newest_schema": f"""
        SELECT {_SCHEMA} FROM tq_schemas
        WHERE schema_id = :schema_id ORDER BY version DESC LIMIT 1
    """,
    "list_schemas": f"""
        SELECT {_SCHEMA} FROM tq_schemas
        WHERE (schema_id, version) > (:after_id, :after_version)
          AND substr(schema_id, 1, :length) = :prefix AND active >= :least
        ORDER BY schema_id, version LIMIT :limit
    """,
    "insert_schema": f"""
        INSERT INTO tq_schemas ({_SCHEMA}) VALUES (
            :schema_id, :version, :document, :description, :active, :created_at
        )
    """,
    "set_schema_active": """
        UPDATE tq_schemas SET active = :active
        WHERE schema_id = :schema_id AND version = :version
    """,
    "delete_schemas": """
        DELETE FROM tq_schemas
        WHERE schema_id = :schema_id AND (:version IS NULL OR version = :version)
        RETURNING version
    """,
    "kept_schema_number": "SELECT value FROM tq_meta WHERE key = :key",
    "keep_schema_number": """
        INSERT INTO tq_meta (key, value) VALUES (:key, :value)
        ON CONFLICT (key) DO UPDATE SET value = excluded.value
        WHERE CAST(excluded.value AS INTEGER) > CAST(tq_meta.value AS INTEGER)
    """,
    "schema_uses": """
        SELECT
            (SELECT count(*) FROM (
                SELECT 1 FROM tq_messages WHERE schema_id = :schema_id
                  AND (:version IS NULL OR schema_version = :version) LIMIT :most
            )),
            (SELECT count(*) FROM (
                SELECT 1 FROM tq_history WHERE schema_id = :schema_id
                  AND (:version IS NULL OR schema_version = :version) LIMIT :most
            ))
    """,
}
